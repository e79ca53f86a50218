package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take before a test gives up.
const patience = 60 * time.Second

// gateway is a running process of the gateway.
type gateway struct {
	GRPC, HTTP string
	cmd        *exec.Cmd
	ended      chan struct{}

	mu  sync.Mutex // guards log
	log []map[string]any
}

// start runs the gateway with a configuration over the defaults of tests: free
// ports, no delay at the end. It is stopped, and has to end well, with the test.
func start(t *testing.T, config string) *gateway {
	t.Helper()
	file := filepath.Join(t.TempDir(), "application.yml")
	defaults := filepath.Join(t.TempDir(), "defaults.yml")
	for path, text := range map[string]string{
		file:     config,
		defaults: "server: {port: 0}\ngrpc: {server: {serverPort: 0}}\nshutdown: {delay: 0}\nmq: {failure: {retry: {max: 500ms}}}\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := &gateway{cmd: exec.Command(binary, "-c", file+","+defaults), ended: make(chan struct{})}
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := g.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	g.cmd.Stderr = g.cmd.Stdout
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go g.read(out)
	t.Cleanup(func() { g.stop(t) })
	started := g.waitForLog(t, "gateway is started")
	g.GRPC, g.HTTP = local(started["grpc"]), local(started["http"])
	return g
}

// read keeps the log of the process until it ends.
func (g *gateway) read(out io.Reader) {
	defer close(g.ended)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line map[string]any
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			line = map[string]any{"msg": lines.Text()}
		}
		g.mu.Lock()
		g.log = append(g.log, line)
		g.mu.Unlock()
	}
}

// stop sends SIGTERM and waits for the end of the process.
func (g *gateway) stop(t *testing.T) {
	t.Helper()
	if g.cmd.ProcessState != nil {
		return
	}
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.ended:
	case <-time.After(patience):
		_ = g.cmd.Process.Signal(syscall.SIGQUIT) // its goroutines go to the log
		<-g.ended
		t.Error("the gateway did not end")
	}
	if err := g.cmd.Wait(); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
	if t.Failed() {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, line := range g.log {
			text, _ := json.Marshal(line)
			t.Log(string(text))
		}
	}
}

// logged returns the lines whose message begins with text.
func (g *gateway) logged(text string) []map[string]any {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(g.log), func(line map[string]any) bool {
		msg, _ := line["msg"].(string)
		return !strings.HasPrefix(msg, text)
	})
}

// waitForLog returns the first line whose message begins with text.
func (g *gateway) waitForLog(t *testing.T, text string) map[string]any {
	t.Helper()
	var line map[string]any
	eventually(t, func() error {
		if lines := g.logged(text); len(lines) > 0 {
			line = lines[0]
			return nil
		}
		return fmt.Errorf("no line %q in the log", text)
	})
	return line
}

// probe returns the status code and the body of a health path.
func (g *gateway) probe(t *testing.T, path string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	answer, err := client.Get("http://" + g.HTTP + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// waitReady waits until the readiness probe has the status.
func (g *gateway) waitReady(t *testing.T, status int) {
	t.Helper()
	eventually(t, func() error {
		if got, body := g.probe(t, "/actuator/health/readiness"); got != status {
			return fmt.Errorf("readiness = %d %s, want %d", got, body, status)
		}
		return nil
	})
}

// eventually polls until check has no complaint.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	end := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %v: %v", patience, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// local is the address that a program on this machine uses.
func local(address any) string {
	_, port, _ := net.SplitHostPort(fmt.Sprint(address))
	return net.JoinHostPort("127.0.0.1", port)
}
