package jetstream_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
)

// victimDirectory tells a child process to be a victim, and where.
const victimDirectory = "JETSTREAM_TEST_VICTIM"

// runVictim accepts messages, says which, and waits to be killed. Every other
// message is held back for a while.
func runVictim(directory string) {
	embedded, err := jetstream.StartServer(jetstream.EmbeddedConfig{Directory: directory}, 0)
	if err != nil {
		panic(err)
	}
	broker := embedded.Open(jetstream.Config{ConfirmTimeout: patience})
	ctx := context.Background()
	if err := broker.Declare(ctx, mq.Queue{Name: "orders.in", Kind: mq.Quorum}); err != nil {
		panic(err)
	}
	var output sync.Mutex
	for worker := range 8 {
		go func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%d-%d", worker, n)
				m := flow.Message{ID: id, Body: make([]byte, 1000)}
				var err error
				if n%2 == 0 {
					err = broker.Publish(ctx, flow.Address{Key: "orders.in"}, &m)
				} else {
					err = broker.PublishLater(ctx, "orders.in", time.Duration(n%7)*100*time.Millisecond, &m)
				}
				if err != nil {
					panic(err)
				}
				output.Lock()
				fmt.Println(id)
				output.Unlock()
			}
		}()
	}
	select {}
}

func TestAcceptedMessagesSurviveAKill(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	accepted := killAfter(t, directory, 500)

	broker := openEmbedded(t, startEmbedded(t, jetstream.EmbeddedConfig{Directory: directory}))
	s := subscribe(t, broker, "orders.in", 100)
	for len(accepted) > 0 {
		d := receive(t, s)
		delete(accepted, d.Message.ID)
		settle(t, d, mq.Ack)
	}
}

// killAfter kills a process that accepted n messages or more, and returns which.
func killAfter(t *testing.T, directory string, n int) map[string]bool {
	t.Helper()
	victim := exec.CommandContext(t.Context(), os.Args[0])
	victim.Env = append(os.Environ(), victimDirectory+"="+directory)
	victim.Stderr = os.Stderr
	output, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	accepted := map[string]bool{}
	for lines := bufio.NewReader(output); ; {
		id, err := lines.ReadString('\n')
		if err != nil {
			break // what stands before the end without a line break may be half an id
		}
		accepted[strings.TrimSpace(id)] = true
		if len(accepted) == n {
			if err := victim.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := victim.Wait(); err == nil || len(accepted) < n {
		t.Fatalf("the process ended by itself after %d messages: %v", len(accepted), err)
	}
	return accepted
}

func TestDirectoryHasOneOwner(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	first := startEmbedded(t, jetstream.EmbeddedConfig{Directory: directory})
	_, err := jetstream.StartServer(jetstream.EmbeddedConfig{Directory: directory}, 0)
	if err == nil || !strings.Contains(err.Error(), directory) || !strings.Contains(err.Error(), "mq.embedded.directory") {
		t.Errorf("second start: %v, want an error that names the directory and the remedy", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	startEmbedded(t, jetstream.EmbeddedConfig{Directory: directory})
}

func TestMessagesSurviveARestart(t *testing.T) {
	t.Parallel()
	cfg := jetstream.EmbeddedConfig{Directory: t.TempDir(), Sync: "1s"}
	first := startEmbedded(t, cfg)
	broker := openEmbedded(t, first)
	declare(t, broker, "q")
	publish(t, broker, "q", flow.Message{ID: "1"})
	publish(t, broker, "q", flow.Message{ID: "2"})
	s := subscribe(t, broker, "q", 1)
	settle(t, receive(t, s), mq.Ack)
	closeOrFail(t, s)
	closeOrFail(t, broker)
	closeOrFail(t, first)

	again := subscribe(t, openEmbedded(t, startEmbedded(t, cfg)), "q", 1)
	if d := receive(t, again); d.Message.ID != "2" {
		t.Errorf("id = %q, want 2", d.Message.ID)
	}
}

func TestEmbeddedListensOnlyWhenTold(t *testing.T) {
	t.Parallel()
	embedded := startEmbedded(t, jetstream.EmbeddedConfig{Token: "unused"})
	if addr, token := embedded.Addr(), embedded.Token(); addr != "" || token != "" {
		t.Errorf("address %q, token %q, want none", addr, token)
	}
	if err := openEmbedded(t, embedded).Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}

func TestOtherProgramsNeedTheToken(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	embedded := startEmbedded(t, jetstream.EmbeddedConfig{Directory: directory, Listen: "0"})
	host, _, err := net.SplitHostPort(embedded.Addr())
	if err != nil || host != "127.0.0.1" {
		t.Errorf("address = %q, want one of 127.0.0.1", embedded.Addr())
	}
	if nc, err := nats.Connect("nats://" + embedded.Addr()); err == nil {
		nc.Close()
		t.Error("connected without a token")
	}
	foreign(t, "nats://"+embedded.Addr(), nats.Token(embedded.Token().Reveal()))
	if err := openEmbedded(t, embedded).Check(t.Context()); err != nil {
		t.Errorf("our own connection: %v", err)
	}

	info, err := os.Stat(filepath.Join(directory, "token"))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("mode of the token = %o, want 600", mode)
	}
	closeOrFail(t, embedded)
	again := startEmbedded(t, jetstream.EmbeddedConfig{Directory: directory, Listen: "127.0.0.1:0"})
	if again.Token() != embedded.Token() || len(again.Token().Reveal()) < 20 {
		t.Error("the token was not kept")
	}
}

func TestConfiguredTokenIsTaken(t *testing.T) {
	t.Parallel()
	embedded := startEmbedded(t, jetstream.EmbeddedConfig{Listen: "0", Token: "secret/@:"})
	foreign(t, "nats://"+embedded.Addr(), nats.Token("secret/@:"))
	broker := openAt(t, jetstream.Config{}, mq.ConnectionConfig{
		Hostname: []string{"127.0.0.1"}, Port: portOf(t, embedded.Addr()), Token: "secret/@:",
	})
	if err := broker.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}

func TestAnotherProcessFindsTheBroker(t *testing.T) {
	t.Parallel()
	cfg := jetstream.EmbeddedConfig{Directory: t.TempDir(), Listen: "1"}
	if c, err := cfg.Connection(); err == nil {
		t.Errorf("connection %v before the broker ever ran, want an error", c)
	}
	if _, err := (jetstream.EmbeddedConfig{Token: "t"}).Connection(); err == nil || paths(err)[0] != "listen" {
		t.Errorf("without an address: %v, want a problem of listen", err)
	}

	cfg.Listen = "0"
	embedded := startEmbedded(t, cfg)
	cfg.Listen = embedded.Addr()
	c, err := cfg.Connection()
	if err != nil {
		t.Fatal(err)
	}
	if err := openAt(t, jetstream.Config{}, c).Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}

func TestStartsThatFail(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken := startEmbedded(t, jetstream.EmbeddedConfig{Listen: "0"})
	for _, tt := range []struct {
		name       string
		cfg        jetstream.EmbeddedConfig
		maxMessage int64
		want       string
	}{
		{"directory is a file", jetstream.EmbeddedConfig{Directory: file}, 0, file},
		{"sync", jetstream.EmbeddedConfig{Directory: t.TempDir(), Sync: "often"}, 0, `"often"`},
		{"listen", jetstream.EmbeddedConfig{Directory: t.TempDir(), Listen: "here"}, 0, `"here"`},
		{"port is taken", jetstream.EmbeddedConfig{Directory: t.TempDir(), Listen: taken.Addr()}, 0, "in use"},
		{"message is too large for the storage", jetstream.EmbeddedConfig{Directory: t.TempDir()}, 32 << 20, "mq.maxMsgLength"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := jetstream.StartServer(tt.cfg, tt.maxMessage)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error = %v, want one that names %s", err, tt.want)
			}
			if tt.cfg.Directory != file { // the directory is free again
				startEmbedded(t, jetstream.EmbeddedConfig{Directory: tt.cfg.Directory})
			}
		})
	}
}

func TestLargestMessagePasses(t *testing.T) {
	t.Parallel()
	const largest = 31 << 20
	embedded, err := jetstream.StartServer(jetstream.EmbeddedConfig{Directory: t.TempDir(), Sync: "1m"}, largest)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, embedded) })
	broker := openEmbedded(t, embedded)
	declare(t, broker, "q")
	header := flow.Header{Name: "large", Value: strings.Repeat("x", 64<<10)}
	publish(t, broker, "q", flow.Message{Body: make([]byte, largest), Headers: []flow.Header{header, header}})
	d := receive(t, subscribe(t, broker, "q", 1))
	if len(d.Message.Body) != largest {
		t.Errorf("body has %d bytes, want %d", len(d.Message.Body), largest)
	}

	tooLarge := flow.Message{Body: make([]byte, largest+1<<20)}
	err = broker.Publish(t.Context(), flow.Address{Key: "q"}, &tooLarge)
	if flow.CodeOf(err) != flow.BadMessage || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("publish of too large a message: %v, want a bad message with the sizes", err)
	}
}
