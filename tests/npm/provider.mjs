// node oidc-provider with people and groups that a test changes, and ways to misbehave. Prints its issuer once it listens.
// Arguments: the redirect URI of the one client, `runpass`. Its secret comes as PROVIDER_SECRET.
// POST /test takes {"people": {id: claims}, "mode": "..."} and sets what it names.
import { createServer } from 'node:http'
import { SignJWT, UnsecuredJWT, decodeJwt, exportJWK, generateKeyPair } from 'jose'

const { privateKey } = await generateKeyPair('RS256', { extractable: true })
const stranger = await generateKeyPair('RS256', { extractable: true })
const jwk = { ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256', kid: 'one' }
const secret = process.env.PROVIDER_SECRET
const now = { people: {}, mode: 'good' }
const signed = (claims, header, key) => new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'one', ...header }).sign(key)
const changed = {
  'wrong nonce': (claims) => ({ ...claims, nonce: 'another' }),
  'no nonce': ({ nonce, ...claims }) => claims,
  'wrong issuer': (claims) => ({ ...claims, iss: 'https://other.example' }),
  'wrong audience': (claims) => ({ ...claims, aud: 'another-client' }),
  'wrong azp': (claims) => ({ ...claims, azp: 'another-client' }),
  'several audiences': (claims) => ({ ...claims, aud: ['runpass', 'another-client'] }),
  'expired': (claims) => ({ ...claims, iat: claims.iat - 7200, exp: claims.iat - 3600 }),
  'from the future': (claims) => ({ ...claims, iat: claims.iat + 3600, exp: claims.exp + 3600 }),
  'wrong at_hash': (claims) => ({ ...claims, at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' }),
  'no subject': ({ sub, ...claims }) => claims,
}

async function spoilt(token) {
  const claims = decodeJwt(token)
  if (now.mode in changed) return signed(changed[now.mode](claims), {}, privateKey)
  if (now.mode === 'alg none') return new UnsecuredJWT(claims).encode()
  if (now.mode === 'HS256') return signed(claims, { alg: 'HS256' }, new TextEncoder().encode(secret))
  if (now.mode === 'another key') return signed(claims, {}, stranger.privateKey)
  if (now.mode === 'unknown kid') return signed(claims, { kid: 'two' }, privateKey)
  return token
}

const server = createServer()
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const issuer = `http://127.0.0.1:${server.address().port}`
const { default: Provider } = await import('oidc-provider')
const provider = new Provider(issuer, {
  jwks: { keys: [jwk] },
  clients: [{ client_id: 'runpass', client_secret: secret, redirect_uris: [process.argv[2]] }],
  claims: { openid: ['sub', 'groups'], profile: ['name'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false,
  cookies: { keys: ['of a test'] },
  features: { devInteractions: { enabled: false } },
  pkce: { required: () => true },
  ttl: { Session: 3600, Grant: 3600, Interaction: 3600, IdToken: 3600, AccessToken: 3600 },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => now.people[id] && { accountId: id, claims: () => ({ sub: id, ...now.people[id] }) },
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ clientId: 'runpass', accountId: ctx.oidc.session.accountId })
    grant.addOIDCScope('openid profile email')
    await grant.save()
    return grant
  },
})

provider.use(async (ctx, next) => {
  await next()
  if (ctx.path === '/token' && ctx.body?.id_token) ctx.body.id_token = await spoilt(ctx.body.id_token)
  const place = ctx.response.get('location') ?? ''
  if (place.startsWith(process.argv[2])) {
    const answer = new URL(place)
    if (now.mode === 'no iss') answer.searchParams.delete('iss')
    if (now.mode === 'another iss') answer.searchParams.set('iss', 'https://other.example')
    ctx.set('location', answer.href)
  }
})

async function read(request) {
  let text = ''
  for await (const part of request) text += part
  return text
}

const answer = provider.callback()
server.on('request', async (request, response) => {
  if (request.url === '/test') {
    Object.assign(now, JSON.parse(await read(request)))
    return response.end('{}')
  }
  if (!request.url.startsWith('/interaction/')) return answer(request, response)
  if (request.method === 'POST') {
    const login = { accountId: new URLSearchParams(await read(request)).get('login') }
    return provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false })
  }
  response.setHeader('content-type', 'text/html')
  return response.end(`<!doctype html><html lang="en"><title>Provider</title><link rel="icon" href="data:,">
    <form method="post"><label>Login <input name="login"></label><button>Continue</button></form></html>`)
})
process.stdout.write(`${issuer}\n`)
