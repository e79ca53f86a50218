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
// the end, short pauses, and times that a busy machine does not come to the end of.
const defaults = `
server: {port: 0}
grpc: {server: {serverPort: 0}, client: {settings: {timeout: 5m}}}
shutdown: {delay: 0}
mq: {connection: {confirmTimeout: 1m}, failure: {retry: {max: 500ms}}}
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

// Configure puts another configuration in the place of the file that the gateway was
// started with, at one instant.
func (g *Gateway) Configure(t testing.TB, config string) {
	t.Helper()
	if err := os.Rename(write(t, filepath.Dir(g.file), "next.yml", config), g.file); err != nil {
		t.Fatal(err)
	}
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

// Probe returns the status code and the body of a health path. The gateway closes
// connections by which no request comes in time, so that a slow test asks again.
func (g *Gateway) Probe(t testing.TB, path string) (status int, body string) {
	t.Helper()
	Eventually(t, func() (err error) {
		ended := g.Ended()
		if status, body, err = get("http://" + g.HTTP + path); err != nil && ended {
			t.Fatalf("the gateway has ended: %v", err)
		}
		return err
	})
	return status, body
}

func get(url string) (status int, body string, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: Patience}
	answer, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
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
	value, found = g.Metrics(t)[series]
	return value, found
}

// Metrics are the values of all series at one time.
func (g *Gateway) Metrics(t testing.TB) map[string]float64 {
	t.Helper()
	_, text := g.Probe(t, "/actuator/prometheus")
	all := map[string]float64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		end := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || end < 0 {
			continue
		}
		value, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			t.Fatalf("metric %q: %v", line, err)
		}
		all[line[:end]] = value
	}
	return all
}

// WaitMetric waits until a series is there and has the value, at which it has to stay.
func (g *Gateway) WaitMetric(t testing.TB, series string, want float64) {
	t.Helper()
	Eventually(t, func() error {
		if got, found := g.metric(t, series); got != want || !found {
			return fmt.Errorf("%s = %v (there: %t), want %v", series, got, found, want)
		}
		return nil
	})
}

// WaitMetricOf waits until a series is there and has a value of least or more, and
// returns it.
func (g *Gateway) WaitMetricOf(t testing.TB, series string, least float64) (value float64) {
	t.Helper()
	Eventually(t, func() error {
		var found bool
		if value, found = g.metric(t, series); value < least || !found {
			return fmt.Errorf("%s = %v (there: %t), want %v or more", series, value, found, least)
		}
		return nil
	})
	return value
}
