package rabbittest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// child is a process that dies with this one.
type child struct {
	cmd *exec.Cmd
	// gone is closed when the process has ended and was waited for.
	gone chan struct{}
}

// startChild starts cmd. The kernel ties the life of a child to the thread that
// started it, hence a locked thread that lives as long as the child.
func startChild(cmd *exec.Cmd) (*child, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	c := &child{cmd: cmd, gone: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in ProcessState
		}
		close(c.gone)
	}()
	return c, <-started
}

// signal sends sig; a process that is gone already is no error.
func (c *child) signal(sig syscall.Signal) { _ = c.cmd.Process.Signal(sig) }

// awaitStopped waits until every thread of a process that got SIGSTOP stands.
func (c *child) awaitStopped(t TB) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	for !c.stopped() {
		if time.Now().After(end) {
			t.Fatal("the process does not stop")
		}
		time.Sleep(time.Millisecond)
	}
}

// stopped tells that every thread stands, by the state behind its name in
// /proc/<pid>/task/<tid>/stat.
func (c *child) stopped() bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", c.cmd.Process.Pid))
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			return false
		}
		_, state, _ := bytes.Cut(stat, []byte(") "))
		if !bytes.HasPrefix(state, []byte("T")) {
			return false
		}
	}
	return len(threads) > 0
}

// kill ends the process at once and waits for its end.
func (c *child) kill() {
	c.signal(syscall.SIGKILL)
	<-c.gone
}

// wait waits for the end of the process and tells whether it came in time.
func (c *child) wait(limit time.Duration) bool {
	select {
	case <-c.gone:
		return true
	case <-time.After(limit):
		return false
	}
}

// awaitPort waits until the process c listens on port.
func awaitPort(c *child, port int) error {
	deadline := time.Now().Add(bootLimit)
	for {
		conn, err := net.DialTimeout("tcp", loopback(port), time.Second)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waiting for port %d: %w", port, err)
		}
		if c.wait(50 * time.Millisecond) {
			return fmt.Errorf("waiting for port %d: the process has ended: %s", port, c.cmd.ProcessState)
		}
	}
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
