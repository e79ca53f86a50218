package gatewaytest

import (
	"bytes"
	"os/exec"
	"syscall"
	"testing"
)

// Result is what a command of the gateway printed, and its exit code.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Run runs a command of the gateway, such as dlq list, with a configuration, until
// it ends. Nobody sits at a terminal.
func Run(t testing.TB, config string, args ...string) Result {
	t.Helper()
	c := Command(t, config, args...)
	c.Start(t)
	return c.Wait(t)
}

// RunningCommand is a command of the gateway as a process.
type RunningCommand struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

// Command prepares a command of the gateway with a configuration.
func Command(t testing.TB, config string, args ...string) *RunningCommand {
	t.Helper()
	file := write(t, t.TempDir(), "application.yml", config)
	c := &RunningCommand{cmd: exec.Command(binary, append(args, "-c", file)...)}
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

// Start starts the process. A test that failed in between kills it at its end.
func (c *RunningCommand) Start(t testing.TB) {
	t.Helper()
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
	})
}

// Signal sends a signal to the process, which may have ended.
func (c *RunningCommand) Signal(s syscall.Signal) { _ = c.cmd.Process.Signal(s) }

// Wait waits for the end of the process; the code of one that was killed is -1.
func (c *RunningCommand) Wait(t testing.TB) Result {
	t.Helper()
	_ = c.cmd.Wait() // the code tells
	r := Result{c.stdout.String(), c.stderr.String(), c.cmd.ProcessState.ExitCode()}
	t.Logf("%v: exit code %d\n%s%s", c.cmd.Args[1:], r.Code, clip(r.Stdout), clip(r.Stderr))
	return r
}

// clip keeps the log of a test readable.
func clip(text string) string {
	const enough = 2000
	if len(text) <= enough {
		return text
	}
	return text[:enough] + "…\n"
}
