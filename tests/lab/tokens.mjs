// npm oidc-provider as the peer of `cargo bench --bench tokens`: its token endpoint, with machines and refresh tokens.
//
//   node tokens.mjs [FAMILIES]
//
// The first line says where it listens. The second is JSON: so many refresh tokens for `opaque` and for `jwt`, the clients
// whose access tokens are handles, or JWTs by ES256. It keeps everything in memory, in a plain map: nothing is durable.
import http from 'node:http';
import { randomBytes } from 'node:crypto';
import { Provider } from 'oidc-provider';
import { exportJWK, generateKeyPair } from 'jose';
import { listen } from './web.mjs';

const SECRET = 'a-long-enough-client-secret-0123456789';
const API = 'https://api.example.test';
const families = Number(process.argv[2] ?? 64);

/** The library's own store in memory forgets all but the last thousand; this one forgets nothing while the bench runs. */
const rows = new Map();
const grants = new Map();
class Adapter {
  constructor(name) {
    this.name = name;
  }
  key = (id) => `${this.name}:${id}`;
  async upsert(id, payload) {
    rows.set(this.key(id), payload);
    if (payload.grantId) {
      const of = grants.get(payload.grantId) ?? new Set();
      grants.set(payload.grantId, of.add(this.key(id)));
    }
  }
  async find(id) {
    return rows.get(this.key(id));
  }
  async destroy(id) {
    rows.delete(this.key(id));
  }
  async consume(id) {
    const payload = rows.get(this.key(id));
    if (payload) payload.consumed = Math.floor(Date.now() / 1000);
  }
  async revokeByGrantId(grantId) {
    for (const key of grants.get(grantId) ?? []) rows.delete(key);
    grants.delete(grantId);
  }
}

const server = http.createServer();
const port = await listen(server, 0);
const { privateKey } = await generateKeyPair('ES256', { extractable: true });
const client = (client_id) => ({
  client_id,
  client_secret: SECRET,
  redirect_uris: ['https://notes.example.test/callback'],
  response_types: ['code'],
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  id_token_signed_response_alg: 'ES256',
  scope: 'openid offline_access read',
});
const jwt = {
  scope: 'read',
  audience: API,
  accessTokenFormat: 'jwt',
  accessTokenTTL: 900,
  jwt: { sign: { alg: 'ES256' } },
};
const provider = new Provider(`http://127.0.0.1:${port}`, {
  adapter: Adapter,
  jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'bench', use: 'sig', alg: 'ES256' }] },
  clients: [client('opaque'), client('jwt')],
  scopes: ['openid', 'offline_access', 'read'],
  cookies: { keys: [randomBytes(16).toString('hex')] },
  enabledJWA: { idTokenSigningAlgValues: ['ES256', 'RS256'] },
  rotateRefreshToken: true,
  ttl: { AccessToken: 900, ClientCredentials: 900, IdToken: 900, RefreshToken: 86_400, Grant: 86_400 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (_ctx, asked) => (asked.clientId === 'jwt' ? API : undefined),
      useGrantedResource: () => true,
      getResourceServerInfo: () => jwt,
    },
  },
  findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
});
provider.on('server_error', (_ctx, error) => console.error('provider: server_error', error));
server.on('request', provider.callback());

const tokens = {};
for (const id of ['opaque', 'jwt']) {
  tokens[id] = [];
  for (let family = 0; family < families; family += 1) {
    const accountId = `person${family}`;
    const grant = new provider.Grant({ accountId, clientId: id });
    grant.addOIDCScope('openid offline_access');
    grant.addResourceScope(API, 'read');
    const refresh = new provider.RefreshToken({
      accountId,
      client: await provider.Client.find(id),
      grantId: await grant.save(),
      gty: 'authorization_code',
      scope: id === 'jwt' ? 'openid offline_access read' : 'openid offline_access',
      ...(id === 'jwt' ? { resource: API } : {}),
      rotations: 0,
      iiat: Math.floor(Date.now() / 1000),
      authTime: Math.floor(Date.now() / 1000),
    });
    tokens[id].push(await refresh.save());
  }
}
console.log(`127.0.0.1:${port}`);
console.log(JSON.stringify(tokens));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
