import http.server,json,sys,threading,time
class H(http.server.BaseHTTPRequestHandler):
    protocol_version="HTTP/1.1"
    def do_POST(self):
        n=int(self.headers.get('content-length',0)); b=self.rfile.read(n)
        print(self.path, dict(self.headers), b.decode(), flush=True)
        out=b'{"sid":"SM123"}' if 'Messages.json' in self.path else b'ok'
        self.send_response(201 if 'Messages' in self.path else 200); self.send_header('content-length',str(len(out))); self.end_headers(); self.wfile.write(out)
    def log_message(self,*a): pass
from aiosmtpd.controller import Controller
class M:
    async def handle_DATA(self,s,ses,env):
        print("MAIL",env.mail_from,env.rcpt_tos,env.content.decode()[:3000],flush=True); return '250 OK queued as ABC123'
c=Controller(M(),hostname='127.0.0.1',port=2525); c.start()
http.server.ThreadingHTTPServer(('127.0.0.1',8099),H).serve_forever()
