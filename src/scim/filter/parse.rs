//! From text to a filter. The recursion is as deep as brackets nest, which was counted before.

use super::{DEEPEST, Filter, Literal, MOST_TERMS, Operator, Target};
use crate::error::{Error, Result, codes};
use crate::scim::place::{Nowhere, Place};
use crate::scim::schema::{Attribute, Kind, ResourceKind};

/// In what a name is looked for.
#[derive(Clone, Copy)]
enum Names {
    Of(ResourceKind),
    Within(Option<&'static Attribute>),
}

/// Reads from left to right.
pub struct Parser<'t> {
    kind: ResourceKind,
    rest: &'t str,
    terms: usize,
}

fn refused(why: impl Into<String>) -> Error {
    Error::says(&codes::INVALID_FILTER, why.into())
}

impl<'t> Parser<'t> {
    /// Of a text that was scanned for its bounds.
    pub fn new(kind: ResourceKind, text: &'t str) -> Self {
        Self { kind, rest: text, terms: 0 }
    }

    /// The filter that the whole text is. Errors: `invalid_filter`.
    pub fn whole(mut self) -> Result<Filter> {
        let filter = self.any(Names::Of(self.kind), 0)?;
        self.end()?;
        Ok(filter)
    }

    /// The path of a PATCH that the whole text is: a place, or some of its values (RFC 7644 §3.5.2).
    /// Errors: `invalid_filter` for what stands in the brackets, `invalid_path` otherwise.
    pub fn path(mut self) -> Result<Target> {
        let wrong = || Error::says(&codes::INVALID_PATH, "The path cannot be read.");
        let name = self.name();
        let place = Place::read(self.kind, name).map_err(|nowhere| match nowhere {
            Nowhere::Malformed => wrong(),
            Nowhere::Unknown => Error::says(
                &codes::INVALID_PATH,
                format!("No schema has `{}`.", name.chars().take(100).collect::<String>()),
            ),
        })?;
        let mut target = Target { place, select: None };
        if self.rest.starts_with('[') {
            target = self.selected(target)?;
            if let Some(rest) = self.rest.strip_prefix('.') {
                self.rest = rest;
                let name = self.name();
                target.place = target.place.and(name).map_err(|_| wrong())?;
            }
        }
        self.end().map_err(|_| wrong())?;
        Ok(target)
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    fn end(&mut self) -> Result<()> {
        self.blanks();
        if self.rest.is_empty() { Ok(()) } else { Err(refused("Something stands behind the end of the filter.")) }
    }

    /// The letters of a name, or of an operator.
    fn name(&mut self) -> &'t str {
        let end = self.rest.find([' ', '(', ')', '[', ']', '"']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        name
    }

    /// Takes the word if it is next, and a whole word.
    fn word(&mut self, word: &str) -> bool {
        let before = self.rest;
        self.blanks();
        if self.name().eq_ignore_ascii_case(word) {
            return true;
        }
        self.rest = before;
        false
    }

    fn any(&mut self, names: Names, depth: usize) -> Result<Filter> {
        let mut all = vec![self.every(names, depth)?];
        while self.word("or") {
            all.push(self.every(names, depth)?);
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Filter::Or(all) })
    }

    fn every(&mut self, names: Names, depth: usize) -> Result<Filter> {
        let mut all = vec![self.term(names, depth)?];
        while self.word("and") {
            all.push(self.term(names, depth)?);
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Filter::And(all) })
    }

    fn term(&mut self, names: Names, depth: usize) -> Result<Filter> {
        // The scan has seen to it; whoever forgets the scan is stopped here.
        if depth > DEEPEST {
            return Err(refused("The filter nests too deep."));
        }
        self.blanks();
        if let Some(rest) = self.rest.strip_prefix('(') {
            self.rest = rest;
            return self.group(names, depth);
        }
        let name = self.name();
        if name.eq_ignore_ascii_case("not") {
            self.blanks();
            self.rest = self.rest.strip_prefix('(').ok_or_else(|| refused("Behind `not` stands a bracket."))?;
            return Ok(Filter::Not(Box::new(self.group(names, depth)?)));
        }
        self.terms += 1;
        if self.terms > MOST_TERMS {
            return Err(refused(format!("The filter has more than {MOST_TERMS} comparisons.")));
        }
        self.comparison(names, name)
    }

    /// What stands behind an opening bracket.
    fn group(&mut self, names: Names, depth: usize) -> Result<Filter> {
        let inner = self.any(names, depth + 1)?;
        self.blanks();
        self.rest = self.rest.strip_prefix(')').ok_or_else(|| refused("A bracket is not closed."))?;
        Ok(inner)
    }

    /// What stands in square brackets behind a place.
    fn selected(&mut self, target: Target) -> Result<Target> {
        let (whole, simple) = match target.place.known {
            _ if target.place.sub.is_some() || target.place.attribute.is_none() => (None, true),
            Some(known) => (Some(known), known.kind != Kind::Complex),
            None => (None, false),
        };
        if simple {
            return Err(refused("Square brackets stand behind an attribute that has no attributes of its own."));
        }
        self.rest = self.rest.strip_prefix('[').ok_or_else(|| refused("A bracket is missing."))?;
        let select = self.any(Names::Within(whole), 1)?;
        self.blanks();
        self.rest = self.rest.strip_prefix(']').ok_or_else(|| refused("A bracket is not closed."))?;
        Ok(Target { select: Some(Box::new(select)), ..target })
    }

    fn comparison(&mut self, names: Names, name: &str) -> Result<Filter> {
        let shown: String = name.chars().take(100).collect();
        let place = match names {
            Names::Of(kind) => Place::read(kind, name),
            Names::Within(outer) => Place::within(outer, name),
        };
        let place = place.map_err(|nowhere| match nowhere {
            Nowhere::Unknown => refused(format!("No schema has `{shown}`.")),
            Nowhere::Malformed => refused("The name of an attribute is expected."),
        })?;
        if place.attribute.is_none() {
            return Err(refused("A schema is not compared with anything."));
        }
        let mut target = Target { place, select: None };
        if self.rest.starts_with('[') {
            if matches!(names, Names::Within(_)) {
                return Err(refused("Square brackets do not stand within square brackets."));
            }
            target = self.selected(target)?;
            match self.rest.strip_prefix('.') {
                // Not in the grammar of RFC 7644, but what Entra asks.
                Some(rest) => {
                    self.rest = rest;
                    let sub = self.name();
                    target.place = target
                        .place
                        .and(sub)
                        .map_err(|_| refused("No schema has what stands behind the square brackets."))?;
                }
                None => return Ok(Filter::Has(target)),
            }
        }
        if self.word("pr") {
            return Ok(Filter::Present(target));
        }
        self.blanks();
        let operator = Operator::named(self.name()).ok_or_else(|| refused("An operator is expected."))?;
        if !self.rest.starts_with(' ') {
            return Err(refused("A value is expected."));
        }
        self.blanks();
        let literal = self.literal()?;
        compare(target, operator, literal)
    }

    fn literal(&mut self) -> Result<Literal> {
        let wrong = || refused("A value is expected: a text in quotes, a number, true, false or null.");
        if self.rest.starts_with('"') {
            // The end of the text is the first quote that is not escaped; what is between is JSON.
            let mut escaped = false;
            let end = self.rest.char_indices().skip(1).find_map(|(at, c)| match c {
                _ if escaped => {
                    escaped = false;
                    None
                }
                '\\' => {
                    escaped = true;
                    None
                }
                '"' => Some(at + 1),
                _ => None,
            });
            let (quoted, rest) = end.and_then(|end| self.rest.split_at_checked(end)).ok_or_else(wrong)?;
            let text = serde_json::from_str::<String>(quoted).map_err(|_| wrong())?;
            if !(rest.is_empty() || rest.starts_with([' ', ')', ']'])) {
                return Err(wrong());
            }
            self.rest = rest;
            return Ok(Literal::Text(text));
        }
        let word = self.name();
        match word {
            _ if word.eq_ignore_ascii_case("true") => Ok(Literal::Bool(true)),
            _ if word.eq_ignore_ascii_case("false") => Ok(Literal::Bool(false)),
            _ if word.eq_ignore_ascii_case("null") => Ok(Literal::Null),
            _ => serde_json::from_str::<f64>(word).map(Literal::Number).map_err(|_| wrong()),
        }
    }
}

/// Whether the two can be compared, and by what of the attribute.
fn compare(mut target: Target, operator: Operator, literal: Literal) -> Result<Filter> {
    use Operator::{Co, Eq, Ew, Ge, Gt, Le, Lt, Ne, Sw};
    let wrong = || refused("The attribute is not compared in that way.");
    if literal == Literal::Null {
        let present = Filter::Present(target);
        return match operator {
            Eq => Ok(Filter::Not(Box::new(present))),
            Ne => Ok(present),
            _ => Err(wrong()),
        };
    }
    let Some(mut known) = target.place.innermost() else { return Ok(Filter::Compare(target, operator, literal)) };
    if known.kind == Kind::Complex {
        // `emails co "x"` is about their values (RFC 7644 §3.4.2.2).
        target.place = target.place.and("value").map_err(|_| wrong())?;
        known = target.place.innermost().ok_or_else(wrong)?;
    }
    let ordered = matches!(operator, Gt | Ge | Lt | Le);
    let part = matches!(operator, Co | Sw | Ew);
    let literal = match (known.kind, literal) {
        (Kind::Boolean, Literal::Bool(is)) if !ordered && !part => Literal::Bool(is),
        (Kind::Boolean, Literal::Text(text)) if !ordered && !part => {
            Literal::Bool(crate::scim::schema::truth(&text).ok_or_else(wrong)?)
        }
        (Kind::DateTime, Literal::Text(text)) if !part => Literal::Time(text.parse().map_err(|_| wrong())?),
        (Kind::DateTime | Kind::String | Kind::Reference, Literal::Text(text)) => Literal::Text(text),
        (Kind::Binary, Literal::Text(text)) if !ordered => Literal::Text(text),
        _ => return Err(wrong()),
    };
    Ok(Filter::Compare(target, operator, literal))
}

impl Operator {
    fn named(name: &str) -> Option<Self> {
        let all = [
            ("eq", Self::Eq),
            ("ne", Self::Ne),
            ("co", Self::Co),
            ("sw", Self::Sw),
            ("ew", Self::Ew),
            ("gt", Self::Gt),
            ("ge", Self::Ge),
            ("lt", Self::Lt),
            ("le", Self::Le),
        ];
        all.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, operator)| operator)
    }
}
