// For test_callback_signatures.py. Reads {"kind", "url", "params", "body", "key", "now", "claims", "nonce"} a line, writes what the
// provider's own library makes of it: {"signature"} where it signs; with "shown" also {"valid"}, where it checks.
const readline = require('readline')
const crypto = require('crypto')
const twilio = require('twilio')
const HashGenerator = require('nexmo/lib/HashGenerator')
const { verifySignature } = require('@vonage/jwt')
const jsonwebtoken = require('jsonwebtoken')
const messagebird = require('messagebird/lib/webhook-signature-jwt')
const plivo = require('plivo/dist/utils/security')

const sha256 = text => crypto.createHash('sha256').update(text).digest('hex')

const kinds = {
  twilio: one => ({
    signature: twilio.getExpectedTwilioSignature(one.key, one.url, one.params),
    valid: twilio.validateRequest(one.key, one.shown, one.url, one.params)
  }),
  vonage: one => ({ signature: new HashGenerator().generate('sha256', one.key, { ...one.params, timestamp: String(one.now) }) }),
  'vonage-jwt': one => {
    const token = jsonwebtoken.sign({ iat: one.now, jti: 'j', iss: 'Vonage', payload_hash: sha256(one.body), api_key: 'k' }, one.key,
      { algorithm: 'HS256' })
    return { signature: token, valid: verifySignature(one.shown || token, one.key) }
  },
  messagebird: async one => {
    const claims = { iss: 'MessageBird', jti: 'j', nbf: one.now, exp: one.now + 60, url_hash: sha256(one.url) }
    if (one.body) claims.payload_hash = sha256(one.body)
    const token = jsonwebtoken.sign(claims, one.key, { algorithm: 'HS256', noTimestamp: true })
    const options = new messagebird.VerifyOptions(true, true,
      { issuer: 'MessageBird', algorithms: ['HS256'], currentDate: new Date(one.now * 1000) })
    const valid = await messagebird.verify(one.url, Buffer.from(one.body), one.shown || token,
      crypto.createSecretKey(Buffer.from(one.key)), options).then(() => true, () => false)
    return { signature: token, valid }
  },
  plivo: one => {
    const base = one.url.split('?')[0]
    const made = crypto.createHmac('sha256', one.key).update(base + one.nonce).digest('base64')
    return { signature: made, valid: plivo.validateSignature(one.url, one.nonce, one.shown || made, one.key) }
  }
}

async function main () {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const one = JSON.parse(line)
    console.log(JSON.stringify(await kinds[one.kind](one)))
  }
}
main()
