// The provider, as the tests want it: it listens on a free port of this host and prints that port; with a line of standard
// input, the address that browsers are sent back to, it begins to answer. Whatever password is typed is right.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const groups = { ann: ['staff', 'ops'], bob: ['web-team'], eve: [] };
const server = createServer();
server.listen(0, '127.0.0.1', () => console.log(server.address().port));

for await (const redirect of createInterface({ input: process.stdin })) {
  const provider = new Provider(`http://127.0.0.1:${server.address().port}`, {
    clients: [
      {
        client_id: 'nodeglass',
        client_secret: 'provider-secret-0123456789',
        redirect_uris: [redirect],
        response_types: ['code'],
        grant_types: ['authorization_code'],
      },
    ],
    claims: { openid: ['sub'], profile: ['preferred_username', 'groups'] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: `id-of-${id}`, preferred_username: id, groups: groups[id] ?? [] }),
    }),
    pkce: { required: () => true },
  });
  server.on('request', provider.callback());
  console.log('ready');
}
