#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A terminal: Ctrl-C reaches the program and spares the image server, it stops and goes on by signals,
# shell shows a prompt with the image's name.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
# shellcheck source=tests/e2e/_root.sh
. "$(dirname "$0")/_root.sh"
[ -x /usr/bin/python3 ] || skip "needs python3"
need_user
cd "$work"
make_root root
make_image root a.img
cat > terminal.py << 'PY'
import os, pty, select, signal, sys, time

hpcc, image, options = sys.argv[1], sys.argv[2], sys.argv[3:]


class Program:
    def __init__(self, argv):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(argv[0], argv)
        self.said = b""

    def until(self, word, seconds=30):
        end = time.time() + seconds
        while word not in self.said and time.time() < end:
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.said += os.read(self.fd, 4096)
                except OSError:
                    break
        assert word in self.said, (word, self.said)

    def state(self, wanted, seconds=30):
        end = time.time() + seconds
        while time.time() < end:
            now = open(f"/proc/{self.pid}/stat").read().rsplit(")")[-1].split()[0]
            if now in wanted:
                return
            time.sleep(0.05)
        raise AssertionError(f"state {now}, not {wanted}")

    def status(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


loop = "trap 'cat /etc/group > /dev/null && echo GOT-INT; exit 9' INT; echo ready; while :; do sleep 0.1; done"
p = Program([hpcc, "exec", *options, image, "sh", "-c", loop])
p.until(b"ready")
if not options:
    os.kill(p.pid, signal.SIGSTOP)  # Ctrl-Z is ignored where no job control shell is the parent
    p.state("T")
    os.kill(p.pid, signal.SIGCONT)
    p.state("SR")
os.write(p.fd, b"\x03")
p.until(b"GOT-INT")
assert p.status() == 9

p = Program([hpcc, "exec", *options, image, "sleep", "100"])
time.sleep(1)
os.write(p.fd, b"\x03")
status = p.status()
assert status in (-signal.SIGINT, 128 + signal.SIGINT), status

if not options:
    p = Program([hpcc, "shell", image])
    p.until(b"hpcc a.img> ")
    os.write(p.fd, b"exit 6\n")
    assert p.status() == 6
PY
chmod a+r terminal.py

terminal() {
    for i in a.img root; do
        expect 0 '' me timeout 120 /usr/bin/python3 terminal.py "$hpcc" $i
        if [ $i = root ]; then continue; fi
        expect 0 '' me timeout 120 /usr/bin/python3 terminal.py "$hpcc" $i -p
    done
    ok "$who: Ctrl-C, stop, continue and the prompt"
}
# A directory's prompt names the directory.
sed -i 's/b"hpcc a.img> "/b"hpcc " + os.path.basename(image).encode() + b"> "/' terminal.py
both terminal
