// Verifies one token as a relying party would: reads {library, issuer, audience, token} from standard input, finds the
// keys by discovery alone, and prints the claims. Ends with 1 and the error's code when the token is refused.
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as client from 'openid-client'

const asked = JSON.parse(await new Response(process.stdin).text())

async function withJose({ issuer, audience, token }) {
  const metadata = await (await fetch(`${issuer}.well-known/openid-configuration`)).json()
  const keys = createRemoteJWKSet(new URL(metadata.jwks_uri))
  const { payload } = await jwtVerify(token, keys, { issuer, audience, typ: 'JWT', requiredClaims: ['exp', 'nbf', 'jti'] })
  return payload
}

// openid-client verifies ID Tokens, which come from a token endpoint. We have none, so this one hands over our token.
async function withOpenidClient({ issuer, audience, token }) {
  const options = { execute: [client.allowInsecureRequests], algorithm: 'oidc' }
  const found = await client.discovery(new URL(issuer), audience, undefined, client.None(), options)
  const alg = JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).alg
  const metadata = { ...found.serverMetadata(), token_endpoint: `${issuer}token` }
  const config = new client.Configuration(metadata, audience, { id_token_signed_response_alg: alg }, client.None())
  client.allowInsecureRequests(config)
  client.enableNonRepudiationChecks(config) // without it the signature is not looked at: TLS would vouch for the token
  config[client.customFetch] = (url, init) =>
    url === metadata.token_endpoint
      ? Promise.resolve(Response.json({ access_token: 'none', token_type: 'bearer', id_token: token }))
      : fetch(url, init)
  const answer = await client.genericGrantRequest(config, 'urn:example:handed-over', {})
  return answer.claims()
}

try {
  const verify = asked.library === 'jose' ? withJose : withOpenidClient
  process.stdout.write(JSON.stringify(await verify(asked)))
} catch (error) {
  process.stderr.write(`${error.code ?? error.name}: ${error.cause?.code ?? error.message}`)
  process.exitCode = 1
}
