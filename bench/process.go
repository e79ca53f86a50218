package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a process may take to start, to end, or to pass a message.
const patience = 60 * time.Second

// process is a running side.
type process struct {
	cmd *exec.Cmd
	// grpc and http are the addresses that it told.
	grpc, http string
	// ended is closed when it has ended, and err is set then.
	ended chan struct{}
	err   error

	mu   sync.Mutex // guards tail
	tail []string
}

// launch runs a program until it says that it is started, with as much garbage as
// the gateway allows itself.
func launch(program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "GOGC=400")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stderr = p.cmd.Stdout
	started := make(chan map[string]any, 1)
	failed := make(chan error, 1)
	go p.supervise(out, started, failed)
	select {
	case err := <-failed:
		return nil, fmt.Errorf("starting %s: %w", program, err)
	case line := <-started:
		p.grpc, p.http = local(line["grpc"]), local(line["http"])
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("starting %s: %w; it printed:\n%s", program, p.err, p.printed())
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		return nil, fmt.Errorf("starting %s: it is not started after %v; it printed:\n%s", program, patience, p.printed())
	}
}

// supervise starts the process on a thread that lives as long, since the kernel
// ends it with that thread, and waits for its end.
func (p *process) supervise(out io.Reader, started chan<- map[string]any, failed chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		failed <- err
		return
	}
	p.read(out, started)
	p.err = p.cmd.Wait()
	close(p.ended)
}

// read keeps the last lines of the log, and hands on the one that tells of the start.
func (p *process) read(out io.Reader, started chan<- map[string]any) {
	const kept = 20
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line map[string]any
		if json.Unmarshal(lines.Bytes(), &line) == nil {
			if msg, _ := line["msg"].(string); strings.HasSuffix(msg, " is started") {
				select {
				case started <- line:
				default:
				}
			}
		}
		p.mu.Lock()
		p.tail = append(p.tail, lines.Text())
		p.tail = p.tail[max(0, len(p.tail)-kept):]
		p.mu.Unlock()
	}
}

func (p *process) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(slices.Clone(p.tail), "\n")
}

// await waits for done; a process that ends before is an error.
func (p *process) await(done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-p.ended:
		return fmt.Errorf("the process has ended: %w; it printed:\n%s", p.err, p.printed())
	case <-time.After(patience):
		return fmt.Errorf("messages are missing after %v; it printed:\n%s", patience, p.printed())
	}
}

// stop ends the process in order.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	if p.err != nil {
		return fmt.Errorf("stopping the process: %w; it printed:\n%s", p.err, p.printed())
	}
	return nil
}

// cpu is the user and system time of the process so far, by the clock that the
// kernel keeps of it (https://man7.org/linux/man-pages/man3/clock_getcpuclockid.3.html).
func (p *process) cpu() time.Duration {
	const sched = 2
	return clock(int32(^p.cmd.Process.Pid)<<3 | sched)
}

// ownCPU is that of this process: broker client, service and callers.
func ownCPU() time.Duration { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }

func clock(id int32) time.Duration {
	var now unix.Timespec
	if unix.ClockGettime(id, &now) != nil {
		return 0 // The process is gone, which await tells.
	}
	return time.Duration(now.Nano())
}

// peakMemory is the most resident memory so far, in bytes.
func (p *process) peakMemory() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of the process: %w", err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes int64
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		return 0, fmt.Errorf("reading the memory of the process: %w", err)
	}
	return kilobytes << 10, nil
}

// local is the address that a program on this machine uses; empty where there is none.
func local(address any) string {
	text, ok := address.(string)
	if !ok || text == "" {
		return ""
	}
	_, port, _ := net.SplitHostPort(text)
	return net.JoinHostPort("127.0.0.1", port)
}
