package session

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/intake"
	"aig/internal/objects"
	"aig/internal/oid"
	"aig/internal/reconcile"
	"aig/internal/ref"
	"aig/internal/tunnel"
	"aig/internal/wire"
)

// A liar is an authenticated peer that misbehaves: it has the key that we trust and a tunnel like everybody's, and says
// whatever it likes in it. Most lies run in a bubble with a clock of its own (package synctest), which has three merits: the
// timeout is a full minute; nothing depends on how busy the machine is; and a goroutine left behind fails the test. But that
// clock stands still while a git child runs, so a lie that is about both time and git is told in real time.

const (
	lieTimeout = time.Minute
	// lieMemory bounds how much memory a lie may cost us at any moment, including garbage not collected yet. Some lies would
	// cost gigabytes if they were believed.
	lieMemory = 288 << 20
)

// liar is the lying side of one conversation.
type liar struct {
	t    *testing.T
	conn *tunnel.Conn
	in   *wire.Reader
	out  *wire.Writer
	key  reconcile.Key
	mute bool // it reads nothing once it has told its lie

	greeting []string // changes to the hello, see hello
	done     bool     // we have said that we are done
	refused  []string // our reasons for refusing those of its packs that it has waited for
}

// tale is one lie, and what has to come of it.
type tale struct {
	name string
	tell func(l *liar)
	want string // is in our error; "" is success
	// refused is in our reason for the last refusal that the liar has waited for.
	refused string
	// By default the lie ends within timeout plus lastWords, the store is as it was, and our side gives and receives.
	within    time.Duration
	stores    bool // objects may have been stored
	direction wire.Direction
	refs      []ref.Ref
	hold      func(context.Context, Offer) (*intake.Store, error)
}

func (l *liar) say(t wire.Type, parts ...[]byte) {
	// An error means that the lie has been seen through: the other side has closed the pipe.
	l.out.Write(t, parts...)
}

// raw writes bytes, which need not be a frame.
func (l *liar) raw(s string) { l.conn.Write([]byte(s)) }

// every does something at every interval until the conversation is over.
func (l *liar) every(interval time.Duration, do func() error) {
	for do() == nil {
		time.Sleep(interval)
	}
}

// hello says a hello that is good but for the changes, pairs of old and new.
func (l *liar) hello(objects int, changes ...string) {
	changes = append(changes, l.greeting...)
	h := wire.Hello{Oldest: 1, Newest: 1, Format: "sha1", Direction: wire.Both, Objects: uint64(objects), Agent: "liar"}
	l.say(wire.TypeHello, []byte(strings.NewReplacer(changes...).Replace(string(h.Append(nil)))))
}

// next returns our next message other than a sign of life, or none at the end of the pipe.
func (l *liar) next() wire.Frame {
	for {
		f, err := l.in.Next()
		if err != nil {
			return wire.Frame{}
		}
		l.done = l.done || f.Type == wire.TypeDone
		if f.Type != wire.TypeAlive {
			return wire.Frame{Type: f.Type, Body: bytes.Clone(f.Body)}
		}
	}
}

// until reads up to a message of the type, and reports whether there was one.
func (l *liar) until(t wire.Type) (wire.Frame, bool) {
	for {
		f := l.next()
		if f.Type == t || f.Type == 0 {
			return f, f.Type == t
		}
	}
}

func (l *liar) drain() { io.Copy(io.Discard, l.conn) }

// negotiate talks honestly up to the exchange, as a side that holds objects of the given names. It returns what is common.
func (l *liar) negotiate(names ...string) wire.Common {
	l.hello(len(names))
	f, _ := l.until(wire.TypeHello)
	theirs, err := wire.ParseHello(f.Body)
	if err != nil {
		l.t.Error(err)
		return wire.Common{}
	}
	return l.find(int(theirs.Objects), names)
}

func (l *liar) set(names []string) (*reconcile.Set, *oid.List) {
	list := oid.NewList(oid.SHA1)
	for _, name := range names {
		binary := make([]byte, oid.SHA1.Size())
		if err := oid.SHA1.Parse(binary, []byte(name)); err != nil {
			l.t.Error(err)
		}
		list.Append(binary)
	}
	return reconcile.NewSet(l.key, oid.SHA1.Size(), list.Chunks()...), list
}

// find finds the difference, honestly. The names are ascending.
func (l *liar) find(theirs int, names []string) wire.Common {
	set, list := l.set(names)
	x := reconcile.NewExchange(set, theirs, false)
	for !x.Finished() {
		for x.Credit() > 0 {
			batch, mode, _ := x.Next(nil, 512)
			l.say(typeOf[mode], batch)
		}
		if x.Done() {
			continue
		}
		f := l.next()
		mode := reconcile.Symbols
		if f.Type == wire.TypeList {
			mode = reconcile.List
		}
		if err := x.Receive(mode, f.Body); err != nil {
			l.t.Errorf("the liar's negotiation: %v", err)
			return wire.Common{}
		}
	}
	missing := x.Mine()
	s := session{key: l.key, common: len(names) - len(missing)}
	s.digest = set.CommonDigest(missing, func(i uint32) []byte { return list.At(int(i)) })
	return s.saidCommon(l.conn.Server)
}

// common negotiates and says what is common, both honestly.
func (l *liar) common(names ...string) {
	l.say(wire.TypeCommon, wire.Append(nil, l.negotiate(names...)))
}

// give is like common, for a side that only gives.
func (l *liar) give(names ...string) {
	l.greeting = []string{"both", "push"}
	l.common(names...)
}

// part says done, and goodbye when we are done too.
func (l *liar) part(stored uint64) {
	l.say(wire.TypeDone, count(stored))
	for !l.done && l.next().Type != 0 {
	}
	l.say(wire.TypeBye)
}

// judged waits for our verdict on a pack, and reports whether we have stored it.
func (l *liar) judged() bool {
	for {
		switch f := l.next(); f.Type {
		case wire.TypeStored:
			return true
		case wire.TypeRefused:
			refused, err := wire.ParseRefused(f.Body, 20)
			if err != nil {
				l.t.Error(err)
			}
			l.refused = append(l.refused, refused.Reason)
			return false
		case 0:
			return false
		}
	}
}

// pack sends a pack in frames, and its end.
func (l *liar) pack(number uint32, objects uint32, pack []byte) {
	for len(pack) > 0 {
		part := pack[:min(len(pack), 1000)]
		l.say(wire.TypePack, part)
		pack = pack[len(part):]
	}
	l.say(wire.TypePackEnd, wire.Append(nil, wire.PackEnd{Number: number, Objects: objects}))
}

// victims is the store that all lies are told to, and what the liar has.
type victims struct {
	t     *testing.T
	repo  *gittest.Repo
	store *intake.Store
	list  *oid.List
	files gittest.Files
	keys  [2]ssh.Signer // ours, the liar's
}

func newVictims(t *testing.T, blobs int) *victims {
	v := &victims{t: t, repo: gittest.New(t, "--template=")}
	v.repo.Blobs("ours", blobs)
	v.open(v.repo)
	for i := range v.keys {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err == nil {
			v.keys[i], err = ssh.NewSignerFromKey(key)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func (v *victims) open(repo *gittest.Repo) {
	var err error
	if v.store, err = intake.Open(v.t.Context(), git.Git{Dir: repo.Dir, Env: repo.Env}); err == nil {
		v.list, err = objects.List(v.t.Context(), v.store.Repo)
	}
	if err != nil {
		v.t.Fatal(err)
	}
	v.files = repo.Files()
}

// names returns the names of our objects.
func (v *victims) names() (names []string) {
	for i := range v.list.Len() {
		names = append(names, hex.EncodeToString(v.list.At(i)))
	}
	return names
}

// tunnel returns a tunnel between us and the liar over a pipe in memory.
func (v *victims) tunnel(t *testing.T, server bool) (ours, theirs *tunnel.Conn) {
	a, b := gittest.Pipe()
	return v.tunnelOver(t, a, b, server)
}

// tunnelOver returns a tunnel over any pipe.
func (v *victims) tunnelOver(t *testing.T, a, b io.ReadWriteCloser, server bool) (ours, theirs *tunnel.Conn) {
	trusts := func(key ssh.Signer) func(ssh.PublicKey) bool {
		return func(k ssh.PublicKey) bool { return bytes.Equal(k.Marshal(), key.PublicKey().Marshal()) }
	}
	timing := tunnel.Timing{Timeout: lieTimeout}
	opened := make(chan error, 1)
	go func() {
		var err error
		theirs, err = tunnel.Open(t.Context(), b, server, tunnel.Options{Signer: v.keys[1], Trusted: trusts(v.keys[0]), Timing: timing})
		opened <- err
	}()
	ours, err := tunnel.Open(t.Context(), a, !server, tunnel.Options{Signer: v.keys[0], Trusted: trusts(v.keys[1]), Timing: timing})
	if err := errors.Join(err, <-opened); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// outcome is the outcome of a lie.
type outcome struct {
	err     error
	refused []string
	took    time.Duration
	memory  uint64 // peak, in bytes
}

// hear has a conversation with a liar.
func (v *victims) hear(t *testing.T, lie tale, server bool, timeout time.Duration) (out outcome) {
	ours, theirs := v.tunnel(t, server)
	o := Options{
		Store: v.store, Direction: wire.Both, Secret: ours.SessionID(), Server: ours.Server, Agent: "victim", Timeout: timeout,
		Objects: func(context.Context) (*oid.List, error) { return v.list, nil },
		Common:  func(uint64) {}, Warn: func(string) {}, Refs: listed(lie.refs...), Hold: lie.hold,
	}
	if lie.direction != "" {
		o.Direction = lie.direction
	}
	l := &liar{t: t, conn: theirs, in: wire.NewReader(theirs), out: wire.NewWriter(theirs)}
	l.key = newKey(theirs.SessionID())
	told := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(told)
		lie.tell(l)
		if l.mute {
			<-over
			return
		}
		l.drain()
	}()
	start := time.Now()
	_, err := Run(t.Context(), ours, o)
	out.err, out.took = err, time.Since(start)
	close(over)
	ours.Close()
	theirs.Close()
	<-told
	out.refused = l.refused
	return out
}

// peak samples this process's heap until the function that it returns is called, which returns how much it grew at most.
func peak(t *testing.T) func() uint64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	look := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	base := look()
	top := base
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				top = max(top, look())
			case <-stop:
				top = max(top, look())
				return
			}
		}
	}()
	end := sync.OnceFunc(func() {
		close(stop)
		<-done
	})
	t.Cleanup(end)
	return func() uint64 {
		end()
		return top - base
	}
}

// tell tells a lie and checks what must hold after every one. The long form tells it from both sides of SSH in turn, the short
// one from one side only: after the handshake there should be no difference.
func (v *victims) tell(t *testing.T, lie tale) (outcomes []outcome) {
	if lie.within == 0 {
		lie.within = lieTimeout + lastWords
	}
	servers := []bool{false, true}
	if len(lie.name)%2 > 0 { // as good a choice as any
		slices.Reverse(servers)
	}
	for _, server := range servers[:gittest.Rounds(1, 2)] {
		var out outcome
		grown := peak(t)
		synctest.Test(t, func(t *testing.T) { out = v.hear(t, lie, server, lieTimeout) })
		out.memory = grown()
		v.check(t, lie, out)
		outcomes = append(outcomes, out)
	}
	return outcomes
}

// check checks what must hold after every lie.
func (v *victims) check(t *testing.T, lie tale, out outcome) {
	t.Helper()
	v.verdict(t, lie, out)
	v.untouched(t, lie)
}

// verdict checks what our side says of a lie, and what it cost.
func (v *victims) verdict(t *testing.T, lie tale, out outcome) {
	t.Helper()
	switch {
	case lie.want == "" && out.err != nil:
		t.Errorf("error %v, want none", out.err)
	case lie.want != "" && out.err == nil:
		t.Errorf("no error, want %q", lie.want)
	case out.err != nil && !strings.Contains(out.err.Error(), lie.want):
		t.Errorf("error %q, want %q", out.err, lie.want)
	}
	if lie.refused != "" && (len(out.refused) == 0 || !strings.Contains(out.refused[len(out.refused)-1], lie.refused)) {
		t.Errorf("refused because %q, want %q", out.refused, lie.refused)
	}
	for _, reason := range out.refused {
		gittest.MustBeClean(t, reason)
	}
	if out.err != nil {
		gittest.MustBeClean(t, out.err.Error())
	}
	if out.took > lie.within+lieTimeout/4 {
		t.Errorf("it took %s, of at most %s", out.took, lie.within)
	}
	if out.memory > lieMemory {
		t.Errorf("it took %d MiB of memory", out.memory>>20)
	}
}

// untouched checks that the store is as it was, or at least sound if the lie may store something.
func (v *victims) untouched(t *testing.T, lie tale) {
	t.Helper()
	changed, added := v.files.Changed(v.repo.Files())
	if len(changed) > 0 && !lie.stores || len(added) > 0 && !lie.stores {
		t.Errorf("the store is not as it was: %v is other than it was, %v is new", changed, added)
	}
	if len(changed)+len(added) > 0 { // otherwise nothing is left behind, and all is as sound as it was
		if left := v.repo.Quarantines(); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		v.repo.MustBeSound()
	}
}

// tellAll tells lies one after the other and prints a row for all of them.
func (v *victims) tellAll(t *testing.T, what string, lies []tale) {
	var all []outcome
	failed := 0
	for _, lie := range lies {
		if !t.Run(lie.name, func(t *testing.T) { all = append(all, v.tell(t, lie)...) }) {
			failed++
		}
		if lie.stores {
			v.open(v.repo)
		}
	}
	if left := gittest.Children(t); len(left) > 0 {
		t.Errorf("children left: %v", left)
	}
	figures(t, what, all, failed)
}

func figures(t *testing.T, what string, all []outcome, failed int) {
	var memory uint64
	var took time.Duration
	for _, out := range all {
		memory, took = max(memory, out.memory), max(took, out.took)
	}
	gittest.Figures(t, what, len(all), "with a wrong outcome %d, longest %s, most memory %d MiB",
		failed, took.Round(time.Second), memory>>20)
}

// esc must not be shown raw in any message.
const esc = "\x1b[2J\r\n\x00\u202e\xff"

func count(n uint64) []byte { return wire.Append(nil, n) }

func number(n uint32) []byte { return wire.Append(nil, n) }
