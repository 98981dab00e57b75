"""An SMS company that calls back: Twilio's callbacks, made and signed as its documentation says."""
import base64
import hashlib
import hmac
import urllib.parse

TOKEN = "secret-token"


def twilio_signature(url, fields, token=TOKEN):
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def public_url(gateway, path):
    return gateway.config["http"]["public_url"] + path


def twilio_calls(gateway, fields, path="/in/sms/twilio", signature=None, token=TOKEN):
    """The status of the answer."""
    signature = twilio_signature(public_url(gateway, path), fields, token) if signature is None else signature
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
    return gateway.http("POST", path, urllib.parse.urlencode(fields).encode(), door="public", headers=headers)[0]


def receipt(gateway, sid, state, path="/in/sms/twilio", **more):
    return twilio_calls(gateway, {"MessageSid": sid, "SmsSid": sid, "MessageStatus": state, "AccountSid": "AC1",
                                  "From": "+15005550006", **more}, path)


def writes(gateway, number, text, sid, **more):
    """The customer writes back."""
    return twilio_calls(gateway, {"MessageSid": sid, "SmsStatus": "received", "From": number, "To": "+15005550006", "Body": text,
                                  "NumMedia": "0", **more})
