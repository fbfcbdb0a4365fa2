//! Many people of one organization, put into the store as fast as it takes them.

use authd::access::{Caller, RoleName, World};
use authd::directory::{Membership, Status, User};
use authd::event::{EventKind, Origin};
use authd::id::{ConnectionId, OrganizationId, UserId};
use authd::store::{Batch, Store};

const GIVEN: [&str; 40] = [
    "Ada",
    "Grace",
    "Alan",
    "Edsger",
    "Barbara",
    "Donald",
    "Frances",
    "John",
    "Ken",
    "Dennis",
    "Margaret",
    "Niklaus",
    "Tony",
    "Leslie",
    "Lynn",
    "Adele",
    "Radia",
    "Vint",
    "Tim",
    "Linus",
    "Hedy",
    "Katherine",
    "Dorothy",
    "Mary",
    "Annie",
    "Jean",
    "Betty",
    "Ruth",
    "Marlyn",
    "Kay",
    "Zoë",
    "Søren",
    "Łukasz",
    "José",
    "Anaïs",
    "Björn",
    "Chloë",
    "Dámaso",
    "Émilie",
    "François",
];
const FAMILY: [&str; 50] = [
    "Lovelace",
    "Hopper",
    "Turing",
    "Dijkstra",
    "Liskov",
    "Knuth",
    "Allen",
    "Backus",
    "Thompson",
    "Ritchie",
    "Hamilton",
    "Wirth",
    "Hoare",
    "Lamport",
    "Conway",
    "Goldberg",
    "Perlman",
    "Cerf",
    "Lee",
    "Torvalds",
    "Lamarr",
    "Johnson",
    "Vaughan",
    "Jackson",
    "Easley",
    "Bartik",
    "Holberton",
    "Teitelbaum",
    "Meltzer",
    "McNulty",
    "Müller",
    "Ångström",
    "Żółć",
    "García",
    "O'Brien",
    "Nguyễn",
    "Çelik",
    "Dvořák",
    "Škoda",
    "Ibáñez",
    "Weiß",
    "Kovács",
    "Papadopoulos",
    "Yamada",
    "Okafor",
    "Silva",
    "Rossi",
    "Novak",
    "Jansen",
    "Smith-Jones",
];

/// Who they are by their number: most are ordinary, and each kind of exception is rarer than the one before.
pub struct Crowd {
    pub organization: OrganizationId,
    pub size: u32,
    /// That brought nearly everybody, and one in a thousand.
    pub connections: [ConnectionId; 2],
}

impl Crowd {
    pub fn new(world: &World, organization: OrganizationId, size: u32) -> Self {
        Self { organization, size, connections: [ConnectionId::new(&world.env), ConnectionId::new(&world.env)] }
    }

    /// One in 500 is suspended.
    pub fn suspended(n: u32) -> bool {
        n.is_multiple_of(500)
    }

    /// Everybody is a member; one in 50 views, one in 2,000 administers.
    pub fn roles(n: u32) -> Vec<&'static str> {
        [("member", 1), ("viewer", 50), ("admin", 2_000)]
            .into_iter()
            .filter(|(_, every)| n.is_multiple_of(*every))
            .map(|(name, _)| name)
            .collect()
    }

    pub fn given(n: u32) -> &'static str {
        GIVEN[n as usize % GIVEN.len()]
    }

    pub fn family(n: u32) -> &'static str {
        // Neighbours in number are none in name.
        FAMILY[(n as usize / GIVEN.len()) * 7 % FAMILY.len()]
    }

    pub fn member(&self, world: &World, user: UserId, n: u32) -> Membership {
        Membership {
            status: if Self::suspended(n) { Status::Suspended } else { Status::Active },
            email: Some(format!("person{n}@crowd.test")),
            email_verified: true,
            name: Some(format!("{} {}", Self::given(n), Self::family(n))),
            given_name: Some(Self::given(n).to_owned()),
            family_name: Some(Self::family(n).to_owned()),
            groups: vec!["everybody".to_owned()],
            roles: Self::roles(n).into_iter().map(|name| name.parse::<RoleName>().unwrap()).collect(),
            source: Some(self.connections[usize::from(n.is_multiple_of(1_000))]),
            ..Membership::new(self.organization, user, world.env.now())
        }
    }

    /// Puts them all in, ten thousand rows a batch.
    pub async fn arrive(&self, world: &World) {
        let store: &Store = &world.store;
        let cx = world.context(Caller::System, Origin::internal(&world.env));
        for first in (0..self.size).step_by(5_000) {
            let mut batch = Batch::new();
            for n in first..self.size.min(first + 5_000) {
                let user = User { id: UserId::new(&world.env), created_at: world.env.now(), disabled_at: None };
                batch.create(&user).create(&self.member(world, user.id, n));
            }
            batch.log(cx.event(EventKind::UserCreated).within(self.organization));
            store.commit(batch).await.unwrap();
        }
    }
}
