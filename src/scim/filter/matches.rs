//! What a filter says of a resource.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::{Filter, Literal, Operator, Target};
use crate::scim::place::get;
use crate::scim::schema::is_empty;

impl Filter {
    /// Whether the resource, or one value of a complex attribute, is meant.
    pub fn matches(&self, resource: &Map<String, Value>) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.matches(resource)),
            Self::Or(all) => all.iter().any(|one| one.matches(resource)),
            Self::Not(one) => !one.matches(resource),
            Self::Present(at) => at.values(resource).iter().any(|value| !is_empty(value)),
            Self::Has(at) => !at.values(resource).is_empty(),
            // Of several values, one that is equal is enough; so none may be where something is to be different.
            Self::Compare(at, Operator::Ne, literal) => {
                !at.values(resource).iter().any(|value| at.holds(value, Operator::Eq, literal))
            }
            Self::Compare(at, operator, literal) => {
                at.values(resource).iter().any(|value| at.holds(value, *operator, literal))
            }
        }
    }
}

impl Target {
    /// The values that are meant.
    fn values<'v>(&self, resource: &'v Map<String, Value>) -> Vec<&'v Value> {
        let Some(found) = self.place.value(resource) else { return Vec::new() };
        let all = match found {
            Value::Array(items) => items.iter().collect(),
            single => vec![single],
        };
        let chosen = all.into_iter().filter(|value| match &self.select {
            None => true,
            Some(select) => value.as_object().is_some_and(|fields| select.matches(fields)),
        });
        match &self.place.sub {
            None => chosen.collect(),
            Some(sub) => chosen
                .filter_map(|value| match value {
                    Value::Object(fields) => get(fields, sub),
                    // What no schema knows may be a plain list.
                    _ => None,
                })
                .flat_map(|value| match value {
                    Value::Array(items) => items.iter().collect(),
                    single => vec![single],
                })
                .collect(),
        }
    }

    fn holds(&self, value: &Value, operator: Operator, literal: &Literal) -> bool {
        match (value, literal) {
            (Value::String(text), Literal::Text(wanted)) => {
                if self.place.innermost().is_some_and(|known| known.exact) {
                    text_holds(text, operator, wanted)
                } else {
                    text_holds(&text.to_lowercase(), operator, &wanted.to_lowercase())
                }
            }
            (Value::String(text), Literal::Time(wanted)) => {
                text.parse::<jiff::Timestamp>().is_ok_and(|time| ordered(time.cmp(wanted), operator))
            }
            (Value::Bool(is), Literal::Bool(wanted)) => operator == Operator::Eq && is == wanted,
            (Value::Number(number), Literal::Number(wanted)) => number
                .as_f64()
                .and_then(|number| number.partial_cmp(wanted))
                .is_some_and(|order| ordered(order, operator)),
            // Of a complex one its value counts (RFC 7643 §2.4).
            (Value::Object(fields), _) => {
                get(fields, "value").is_some_and(|inner| !inner.is_object() && self.holds(inner, operator, literal))
            }
            _ => false,
        }
    }
}

fn text_holds(text: &str, operator: Operator, wanted: &str) -> bool {
    match operator {
        Operator::Co => text.contains(wanted),
        Operator::Sw => text.starts_with(wanted),
        Operator::Ew => text.ends_with(wanted),
        other => ordered(text.cmp(wanted), other),
    }
}

fn ordered(order: Ordering, operator: Operator) -> bool {
    match operator {
        Operator::Eq => order.is_eq(),
        Operator::Ne => order.is_ne(),
        Operator::Gt => order.is_gt(),
        Operator::Ge => order.is_ge(),
        Operator::Lt => order.is_lt(),
        Operator::Le => order.is_le(),
        Operator::Co | Operator::Sw | Operator::Ew => false,
    }
}
