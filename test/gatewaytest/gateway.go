package gatewaytest

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
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// defaults stand below the configuration of every test: free ports, no delay at
// the end, short pauses.
const defaults = `
server: {port: 0}
grpc: {server: {serverPort: 0}}
shutdown: {delay: 0}
mq: {failure: {retry: {max: 500ms}}}
`

// Gateway is a running process of the gateway.
type Gateway struct {
	// GRPC and HTTP are its addresses, as host:port.
	GRPC, HTTP string

	file  string // of its configuration
	cmd   *exec.Cmd
	ended chan struct{} // closed at the end of its output

	mu  sync.Mutex // guards log
	log []map[string]any
}

// Start runs the gateway with a configuration. It is stopped, and has to end
// well, with the test; its log is shown when the test failed.
func Start(t testing.TB, config string) *Gateway {
	t.Helper()
	return StartFile(t, write(t, t.TempDir(), "application.yml", config))
}

// StartFile is as Start, with the configuration in a file.
func StartFile(t testing.TB, file string) *Gateway {
	t.Helper()
	files := []string{file, write(t, t.TempDir(), "defaults.yml", defaults)}
	g := &Gateway{file: file, cmd: exec.Command(binary, "-c", strings.Join(files, ",")), ended: make(chan struct{})}
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
	t.Cleanup(func() { g.Stop(t) })
	started := g.WaitForLog(t, "gateway is started")
	g.GRPC, g.HTTP = local(started["grpc"]), local(started["http"])
	return g
}

func write(t testing.TB, dir, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// local is the address that a program on this machine uses.
func local(address any) string {
	_, port, _ := net.SplitHostPort(fmt.Sprint(address))
	return net.JoinHostPort("127.0.0.1", port)
}

// read keeps the log of the process until it ends.
func (g *Gateway) read(out io.Reader) {
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

// Configure writes another configuration into the file that the gateway was started with.
func (g *Gateway) Configure(t testing.TB, config string) {
	t.Helper()
	write(t, filepath.Dir(g.file), filepath.Base(g.file), config)
}

// Hangup sends SIGHUP.
func (g *Gateway) Hangup(t testing.TB) {
	t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// Stop sends SIGTERM and waits for the end of the process. Calling it twice is
// safe.
func (g *Gateway) Stop(t testing.TB) {
	t.Helper()
	if g.cmd.ProcessState != nil {
		return
	}
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.ended:
	case <-time.After(Patience):
		_ = g.cmd.Process.Signal(syscall.SIGQUIT) // its goroutines go to the log
		<-g.ended
		t.Error("the gateway did not end")
	}
	if err := g.cmd.Wait(); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
	if t.Failed() {
		for _, line := range g.Logged("") {
			text, _ := json.Marshal(line)
			t.Log(string(text))
		}
	}
}

// Signal sends a signal.
func (g *Gateway) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := g.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// WaitEnd waits for the end of the process, however it ends.
func (g *Gateway) WaitEnd(t testing.TB) *os.ProcessState {
	t.Helper()
	select {
	case <-g.ended:
	case <-time.After(Patience):
		t.Fatal("the gateway did not end")
	}
	_ = g.cmd.Wait() // how it ended is in its state
	return g.cmd.ProcessState
}

// Kill ends the process at once, as a failure of its machine would.
func (g *Gateway) Kill() {
	_ = g.cmd.Process.Kill()
	<-g.ended
	_ = g.cmd.Wait() // how it ended is known
}

// Pause freezes the process: its connections stay, nothing answers.
func (g *Gateway) Pause() { _ = g.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a frozen process go on.
func (g *Gateway) Resume() { _ = g.cmd.Process.Signal(syscall.SIGCONT) }

// Logged returns the lines whose message begins with text.
func (g *Gateway) Logged(text string) []map[string]any {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(g.log), func(line map[string]any) bool {
		msg, _ := line["msg"].(string)
		return !strings.HasPrefix(msg, text)
	})
}

// WaitForLog returns the first line whose message begins with text. A gateway
// that has ended without one fails the test at once.
func (g *Gateway) WaitForLog(t testing.TB, text string) map[string]any {
	t.Helper()
	var line map[string]any
	Eventually(t, func() error {
		ended := g.Ended()
		if lines := g.Logged(text); len(lines) > 0 {
			line = lines[0]
			return nil
		}
		if ended {
			t.Fatalf("the gateway has ended with no line %q in the log", text)
		}
		return fmt.Errorf("no line %q in the log", text)
	})
	return line
}

// Ended tells that the process has ended.
func (g *Gateway) Ended() bool {
	select {
	case <-g.ended:
		return true
	default:
		return false
	}
}

// Probe returns the status code and the body of a health path.
func (g *Gateway) Probe(t testing.TB, path string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: Patience}
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

// WaitReady waits until the readiness probe has the status.
func (g *Gateway) WaitReady(t testing.TB, status int) {
	t.Helper()
	Eventually(t, func() error {
		if got, body := g.Probe(t, "/actuator/health/readiness"); got != status {
			return fmt.Errorf("readiness = %d %s, want %d", got, body, status)
		}
		return nil
	})
}

// Reloads is how many changes of the configuration ended with a result.
func (g *Gateway) Reloads(t testing.TB, result string) int {
	t.Helper()
	return int(g.Metric(t, fmt.Sprintf("gateway_config_reloads_total{result=%q}", result)))
}

// WaitReloads waits until so many changes of the configuration ended with a result.
func (g *Gateway) WaitReloads(t testing.TB, result string, want int) {
	t.Helper()
	g.WaitMetric(t, fmt.Sprintf("gateway_config_reloads_total{result=%q}", result), float64(want))
}

// Metric is the value of a series, such as gateway_requests_waiting or
// gateway_replies_total{result="late"}.
func (g *Gateway) Metric(t testing.TB, series string) float64 {
	t.Helper()
	value, found := g.metric(t, series)
	if !found {
		t.Fatalf("there is no metric %s", series)
	}
	return value
}

func (g *Gateway) metric(t testing.TB, series string) (value float64, found bool) {
	t.Helper()
	_, text := g.Probe(t, "/actuator/prometheus")
	for line := range strings.Lines(text) {
		value, found := strings.CutPrefix(line, series+" ")
		if !found {
			continue
		}
		number, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			t.Fatalf("metric %s is %q: %v", series, value, err)
		}
		return number, true
	}
	return 0, false
}

// WaitMetric waits until a series is there and has the value.
func (g *Gateway) WaitMetric(t testing.TB, series string, want float64) {
	t.Helper()
	Eventually(t, func() error {
		if got, found := g.metric(t, series); got != want || !found {
			return fmt.Errorf("%s = %v (there: %t), want %v", series, got, found, want)
		}
		return nil
	})
}
