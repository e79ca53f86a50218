package proxy_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"mqgateway/test/faults/proxy"
	"mqgateway/test/leaks"
)

func TestMain(m *testing.M) { os.Exit(leaks.Main(m)) }

// echo is a server that answers with what it gets.
func echo(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	return listener.Addr().String()
}

type client struct {
	t *testing.T
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, p *proxy.Proxy) *client {
	t.Helper()
	conn, err := net.Dial("tcp", p.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn, bufio.NewReader(conn)}
}

// say sends a line and returns the answer within the limit.
func (c *client) say(line string, limit time.Duration) (string, error) {
	c.t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", err
	}
	return c.hear(limit)
}

func (c *client) hear(limit time.Duration) (string, error) {
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		c.t.Fatal(err)
	}
	return c.lines.ReadString('\n')
}

// moment is when silence counts as such.
const moment = 100 * time.Millisecond

func (c *client) wantAnswer(line string) {
	c.t.Helper()
	if got, err := c.say(line, 10*time.Second); err != nil || got != line+"\n" {
		c.t.Fatalf("answer to %q = %q, %v", line, got, err)
	}
}

func (c *client) wantSilence(line string) {
	c.t.Helper()
	if got, err := c.say(line, moment); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("answer to %q = %q, %v, want silence", line, got, err)
	}
}

func TestResetEndsLiveConnections(t *testing.T) {
	p := proxy.Start(t, echo(t))
	c := dial(t, p)
	c.wantAnswer("a")
	if n := p.Reset(); n != 1 {
		t.Errorf("Reset() = %d, want 1 connection", n)
	}
	if _, err := c.hear(10 * time.Second); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reading ends with %v, want a reset", err)
	}
	dial(t, p).wantAnswer("b")
}

func TestSwallowedConnectionsStayDead(t *testing.T) {
	for name, d := range map[string]proxy.Direction{"both": proxy.Both, "from client": proxy.FromClient, "from server": proxy.FromServer} {
		t.Run(name, func(t *testing.T) {
			p := proxy.Start(t, echo(t))
			old := dial(t, p)
			old.wantAnswer("a")
			p.Swallow(d)
			old.wantSilence("b")
			dial(t, p).wantSilence("c")
			p.Heal()
			old.wantSilence("d")
			dial(t, p).wantAnswer("e")
		})
	}
}

func TestUntouchedConnectionsOutliveABlackHole(t *testing.T) {
	p := proxy.Start(t, echo(t))
	c := dial(t, p)
	c.wantAnswer("a")
	p.Swallow(proxy.Both)
	p.Heal()
	c.wantAnswer("b")
}

func TestHeldBytesArriveLater(t *testing.T) {
	p := proxy.Start(t, echo(t))
	c := dial(t, p)
	c.wantAnswer("a")
	p.Hold(proxy.FromServer)
	c.wantSilence("b")
	p.Heal()
	if got, err := c.hear(10 * time.Second); err != nil || got != "b\n" {
		t.Errorf("after healing: %q, %v, want the held line", got, err)
	}
}

func TestSlowNetwork(t *testing.T) {
	p := proxy.Start(t, echo(t))
	c := dial(t, p)
	p.Slow(moment, 0)
	start := time.Now()
	c.wantAnswer("a")
	if took := time.Since(start); took < 2*moment {
		t.Errorf("there and back took %v, want %v each way", took, moment)
	}
	p.Slow(0, 100)
	start = time.Now()
	c.wantAnswer("0123456789012345678")
	if took := time.Since(start); took < 400*time.Millisecond {
		t.Errorf("20 bytes there and back took %v at 100 bytes a second", took)
	}
}

func TestRefusedConnections(t *testing.T) {
	p := proxy.Start(t, echo(t))
	c := dial(t, p)
	c.wantAnswer("a")
	p.Refuse()
	c.wantAnswer("b")
	wantRefused(t, p)
	p.Heal()
	dial(t, p).wantAnswer("c")
}

func TestServerThatIsDown(t *testing.T) {
	p := proxy.Start(t, "127.0.0.1:1")
	wantRefused(t, p)
}

// wantRefused expects a reset, which may come before the client knows that it is
// connected.
func wantRefused(t *testing.T, p *proxy.Proxy) {
	t.Helper()
	conn, err := net.Dial("tcp", p.Address)
	if err == nil {
		defer func() { _ = conn.Close() }()
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("connecting ends with %v, want a reset", err)
	}
}
