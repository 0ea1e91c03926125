// node oidc-provider with one client that asks for JWT access tokens (RS256) with client credentials, one process for
// each core. Its state, were there any, would be in memory. Prints "ready" once every process listens.
// Argument: the port. The client's secret comes as PEER_SECRET.
import cluster from 'node:cluster'
import { availableParallelism } from 'node:os'
import { exportJWK, generateKeyPair } from 'jose'

const port = Number(process.argv[2])
const issuer = `http://127.0.0.1:${port}`
const resource = 'https://runpass.test'

if (cluster.isPrimary) {
  const { privateKey } = await generateKeyPair('RS256', { modulusLength: 2048, extractable: true })
  const jwk = JSON.stringify({ ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256', kid: 'bench' })
  const cores = availableParallelism()
  let listening = 0
  cluster.on('listening', () => { if (++listening === cores) process.stdout.write('ready\n') })
  for (let core = 0; core < cores; core++) cluster.fork({ PEER_KEY: jwk })
  process.on('SIGTERM', () => { for (const worker of Object.values(cluster.workers)) worker.kill(); process.exit(0) })
} else {
  const { default: Provider } = await import('oidc-provider')
  const provider = new Provider(issuer, {
    jwks: { keys: [JSON.parse(process.env.PEER_KEY)] },
    clients: [{
      client_id: 'bench',
      client_secret: process.env.PEER_SECRET,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_post',
    }],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        getResourceServerInfo: () => ({
          scope: 'run', audience: resource, accessTokenTTL: 900, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  })
  provider.listen(port, '127.0.0.1')
}
