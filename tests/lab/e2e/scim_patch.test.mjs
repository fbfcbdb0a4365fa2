// Our PATCH beside another one (npm scim-patch), on generated operations of which RFC 7644 §3.5.2 leaves no doubt what they do:
// both must come to the same resource. `AUTHD_SEED` repeats a run.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { scimPatch } from 'scim-patch';
import { World, shows } from '../world.mjs';

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group';
const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
const RESOURCES = 12;
const PATCHES = 25;

const seed = Number(process.env.AUTHD_SEED ?? Math.floor(Math.random() * 2 ** 31));
let state = seed;
// mulberry32: small, and the same everywhere
const random = () => {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
};
const below = (most) => Math.floor(random() * most);
const one = (list) => list[below(list.length)];
const word = () => Array.from({ length: 1 + below(8) }, () => one([...'abcdefghijklmnopqrstuvwxyzäß 東-.\'"\\'])).join('').trim() || 'x';
const some = (list, most) => list.filter(() => random() < most / list.length);

let world;
let base;
let token;
before(async () => {
  world = await World.start({ provider: false });
  const org = (await world.json('org', 'create', '--name', 'Aperture')).id;
  ({ url: base, token } = await world.json('scim', 'token', 'create', '--org', org));
});
after(() => world?.stop());

async function ask(method, path, body) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/scim+json' };
  const answer = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : null };
}

const TEXTS = ['displayName', 'nickName', 'title', 'userType'];
const NAMES = ['familyName', 'givenName', 'middleName', 'honorificPrefix'];
const ENTERPRISES = ['department', 'costCenter', 'division', 'organization'];
const TYPES = ['work', 'home', 'other'];
// an address is one person's
let addresses = 0;
const MANY = { emails: () => `${one([...'abcdef'])}${(addresses += 1)}@aperture.example`, phoneNumbers: () => `+1 555 ${1000 + below(9000)}`, ims: () => `im${below(1000)}` };

/** One value of each type at most, none of them primary: which one a filter means is then beyond doubt. */
const values = (attribute, types) => types.map((type) => ({ value: MANY[attribute](), type, ...(random() < 0.5 && { display: word() }) }));

/** An operation on what the resource is now. */
function operation(now) {
  const op = one(['add', 'replace', 'remove']);
  const changing = op !== 'remove';
  const spelled = random() < 0.5 ? op : op[0].toUpperCase() + op.slice(1);
  const at = (path, value) => ({ op: spelled, path, ...(changing && { value }) });
  switch (below(7)) {
    case 0:
      return at(one(TEXTS), word());
    case 1:
      return at(`name.${one(NAMES)}`, word());
    case 2:
      return at(`${ENTERPRISE}:${one(ENTERPRISES)}`, word());
    case 3: {
      const attribute = one(Object.keys(MANY));
      const there = (now[attribute] ?? []).map(({ type }) => type);
      if (op === 'add') {
        const free = TYPES.filter((type) => !there.includes(type));
        return free.length ? at(attribute, values(attribute, some(free, 2).concat(free).slice(0, 1))) : null;
      }
      return at(attribute, values(attribute, some(TYPES, 2).concat(TYPES).slice(0, 1)));
    }
    case 4: {
      // by a filter, at something that is there
      const attribute = one(Object.keys(MANY));
      const item = (now[attribute] ?? []).length ? one(now[attribute]) : null;
      if (!item) return null;
      const filter = one([`type eq "${item.type}"`, `value eq "${item.value}"`, `type eq "${item.type}" and value eq "${item.value}"`]);
      if (!changing) return random() < 0.6 ? at(`${attribute}[${filter}]`) : item.display ? at(`${attribute}[${filter}].display`) : null;
      return { op: 'replace', path: `${attribute}[${filter}].${one(['value', 'display'])}`, value: MANY[attribute]() };
    }
    case 5:
      if (!changing) return null;
      return { op: spelled, value: Object.fromEntries(some(TEXTS, 2).concat('title').map((name) => [name, word()])) };
    default:
      if (!changing) return null;
      return { op: spelled, path: 'name', value: Object.fromEntries(NAMES.map((name) => [name, word()])) };
  }
}

/** What a PATCH is about: nothing that the server writes by itself, nothing empty, and values in one order. */
function plain(value) {
  if (Array.isArray(value)) return value.map(plain).sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
  if (value === null || typeof value !== 'object') return value;
  const kept = Object.entries(value).filter(([name]) => !['id', 'meta', 'schemas', 'groups', '$ref'].includes(name));
  const fields = kept.map(([name, field]) => [name, plain(field)]).filter(([, field]) => field !== undefined && !(typeof field === 'object' && field !== null && Object.keys(field).length === 0));
  return Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const copy = (value) => structuredClone(value);

/** Both do it; answers the resource, or throws where they differ. */
async function both(path, now, operations) {
  const theirs = plain(scimPatch(copy(now), copy(operations), { mutateDocument: false, treatMissingAsAdd: true }));
  const ours = await ask('PATCH', path, { schemas: [PATCH], Operations: operations });
  const told = `seed ${seed}: ${JSON.stringify(operations)}\nof ${JSON.stringify(now)}`;
  assert.equal(ours.status, 200, `${told}\n${JSON.stringify(ours.body)}`);
  assert.deepEqual(plain(ours.body), theirs, told);
  const read = await ask('GET', path);
  assert.deepEqual(plain(read.body), theirs, `read again, ${told}`);
  return read.body;
}

shows('SCIM-04: people are changed by generated PATCHes as npm scim-patch changes them', async () => {
  let done = 0;
  for (let resource = 0; resource < RESOURCES; resource += 1) {
    const sent = {
      schemas: [USER, ENTERPRISE],
      userName: `subject${resource}@aperture.example`,
      displayName: word(),
      name: { familyName: word(), givenName: word() },
      [ENTERPRISE]: { department: word(), costCenter: word() },
    };
    for (const attribute of Object.keys(MANY)) sent[attribute] = values(attribute, some(TYPES, 2).concat('work').slice(0, 1));
    const made = await ask('POST', '/Users', sent);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    let now = made.body;
    for (let patch = 0; patch < PATCHES; patch += 1) {
      // Each operation is made for what the ones before it leave.
      let then = copy(now);
      const operations = [];
      for (let count = 1 + below(4); count > 0; count -= 1) {
        const next = operation(then);
        if (!next) continue;
        then = scimPatch(then, [copy(next)], { mutateDocument: false, treatMissingAsAdd: true });
        operations.push(next);
      }
      if (!operations.length) continue;
      now = await both(`/Users/${now.id}`, now, operations);
      done += 1;
    }
  }
  assert.ok(done > (RESOURCES * PATCHES) / 2, `${done} PATCHes`);
});

shows('SCIM-04: members of a group come and go by generated PATCHes as by npm scim-patch', async () => {
  const people = [];
  for (let person = 0; person < 8; person += 1) {
    people.push((await ask('POST', '/Users', { schemas: [USER], userName: `member${person}@aperture.example` })).body.id);
  }
  const made = await ask('POST', '/Groups', { schemas: [GROUP], displayName: 'Testers', members: people.slice(0, 3).map((value) => ({ value })) });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const bare = (group) => ({ ...group, members: (group.members ?? []).map(({ value }) => ({ value })) });
  const set = (group) => (group.members ?? []).map(({ value }) => value).sort();
  let now = bare(made.body);
  for (let patch = 0; patch < 60; patch += 1) {
    const there = set(now);
    const away = people.filter((id) => !there.includes(id));
    const id = there.length ? one(there) : null;
    const change = one([
      away.length && { op: 'add', path: 'members', value: some(away, 2).concat(away).slice(0, 1 + below(2)).filter((value, place, all) => all.indexOf(value) === place).map((value) => ({ value })) },
      id && { op: 'remove', path: `members[value eq "${id}"]` },
      { op: 'replace', path: 'members', value: some(people, 3).concat(people).slice(0, 1).map((value) => ({ value })) },
      { op: 'replace', path: 'displayName', value: `Testers ${below(100)}` },
      below(8) === 0 && { op: 'remove', path: 'members' },
    ].filter(Boolean));
    const theirs = scimPatch(copy(now), [copy(change)], { mutateDocument: false, treatMissingAsAdd: true });
    const ours = await ask('PATCH', `/Groups/${made.body.id}`, { schemas: [PATCH], Operations: [change] });
    assert.equal(ours.status, 200, `seed ${seed}: ${JSON.stringify(change)}\n${JSON.stringify(ours.body)}`);
    now = bare((await ask('GET', `/Groups/${made.body.id}`)).body);
    assert.deepEqual(set(now), set(theirs), `seed ${seed}: ${JSON.stringify(change)} of ${there}`);
    assert.equal(now.displayName, theirs.displayName);
  }
});
