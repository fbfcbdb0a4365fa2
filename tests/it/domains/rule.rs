//! The rule of the recheck as a pure function, against every order of answers and steps of the clock.

use std::time::Duration;

use authd::connection::domain::{Domain, DomainCheck, GRACE, INTERVAL, Look, Proof, Told, judge};
use authd::env::{Env, Timestamp};
use authd::id::{ConnectionId, OrganizationId};
use proptest::prelude::*;

const DAY: u64 = 86_400_000;

fn claim() -> Domain {
    let env = Env::frozen();
    Domain {
        name: "a.example".to_owned(),
        organization: OrganizationId::new(&env),
        connection: ConnectionId::new(&env),
        primary: true,
        verified_at: Some(env.now()),
        proof: Some(Proof::Dns),
        challenge: None,
        created_at: env.now(),
        expires_at: None,
        record: Some("authd-verification=x".to_owned()),
    }
}

fn any_look() -> impl Strategy<Value = Look> {
    prop_oneof![
        2 => Just(Look::Proved),
        5 => Just(Look::Missing),
        4 => Just(Look::Different),
        4 => Just(Look::Unreachable),
    ]
}

fn step(least: i64) -> impl Strategy<Value = i64> {
    let day = 86_400_000;
    prop_oneof![0..day, 0..10 * day, Just(day), least..least.max(1) + 400 * day]
}

fn moved(now: Timestamp, by: i64) -> Timestamp {
    Timestamp::from_millis(now.millis() + by)
}

fn negative(look: Look) -> bool {
    matches!(look, Look::Missing | Look::Different)
}

proptest! {
    /// Over a clock that goes forward: lost exactly when the record was missing for the whole grace, counted between looks
    /// that both found it missing.
    #[test]
    fn lost_exactly_when_missing_for_the_whole_grace(
        steps in prop::collection::vec((step(0), any_look(), 0..DAY), 1..60)
    ) {
        let (claim, mut now) = (claim(), Env::frozen().now());
        let mut check: Option<DomainCheck> = None;
        let (mut counted, mut failing, mut last) = (0_i64, false, Look::Proved);
        for (by, look, early) in steps {
            now = moved(now, by);
            let verdict = judge(check.as_ref(), &claim, look, now, Duration::from_millis(early));
            match look {
                Look::Proved => (counted, failing) = (0, false),
                _ if negative(look) && failing && negative(last) => counted += by,
                _ => failing = failing || negative(look),
            }
            let expected = negative(look) && failing && u128::try_from(counted).unwrap() >= GRACE.as_millis();
            prop_assert_eq!(verdict.lost(), expected, "{:?} counted {}", look, counted);
            prop_assert_eq!(verdict.next.failing.is_some(), failing);
            prop_assert_eq!(verdict.told.contains(&Told::Recovered), look == Look::Proved && check.as_ref().is_some_and(|c| c.failing.is_some()));
            prop_assert!(verdict.next.recheck_at > now && verdict.next.recheck_at <= now + INTERVAL);
            prop_assert!(!verdict.next.due(now));
            if verdict.lost() {
                break;
            }
            (check, last) = (Some(verdict.next), look);
        }
    }

    /// Over a clock that goes both ways: never lost before the grace has passed in steps forward between two looks that found
    /// nothing, never by an outage, and the end is never further away than a grace.
    #[test]
    fn never_lost_early_wherever_the_clock_goes(
        steps in prop::collection::vec((step(-400 * 86_400_000), any_look()), 1..60)
    ) {
        let (claim, mut now) = (claim(), Env::frozen().now());
        let mut check: Option<DomainCheck> = None;
        let (mut counted, mut last) = (0_i64, Look::Proved);
        for (by, look) in steps {
            now = moved(now, by);
            let verdict = judge(check.as_ref(), &claim, look, now, Duration::ZERO);
            if look == Look::Proved {
                counted = 0;
            } else if negative(look) && negative(last) {
                counted += by.max(0);
            }
            if verdict.lost() {
                prop_assert!(negative(look));
                prop_assert!(u128::try_from(counted).unwrap() >= GRACE.as_millis(), "after {} ms", counted);
                break;
            }
            if let Some(failing) = verdict.next.failing {
                prop_assert!(failing.since <= now && failing.loses_at <= now + GRACE);
            }
            (check, last) = (Some(verdict.next), look);
        }
    }

    /// Whoever looks when a look is due is warned at seven days and at one, hears of it at most once a day, and loses the
    /// domain at the end of the grace.
    #[test]
    fn looking_when_it_is_due_warns_twice_before_the_end(late in prop::collection::vec(0..DAY / 24, 40)) {
        let (claim, start) = (claim(), Env::frozen().now());
        let first = judge(None, &claim, Look::Missing, start, Duration::ZERO);
        prop_assert_eq!(&first.told, &[Told::Failing]);
        let (mut check, mut told, mut heard) = (first.next, Vec::new(), start);
        for late in late {
            let now = check.recheck_at + Duration::from_millis(late);
            let verdict = judge(Some(&check), &claim, Look::Different, now, Duration::ZERO);
            if verdict.told.contains(&Told::Failing) {
                prop_assert!(now.since(heard) >= Duration::from_millis(DAY));
                heard = now;
            }
            told.extend(verdict.told.iter().copied().filter(|told| *told != Told::Failing));
            if verdict.lost() {
                prop_assert!(now.since(start) >= GRACE && now.since(start) <= GRACE + Duration::from_millis(DAY / 24));
                prop_assert_eq!(told, [Told::Near(7), Told::Near(1), Told::Lost]);
                return Ok(());
            }
            check = verdict.next;
        }
        prop_assert!(false, "never lost");
    }
}
