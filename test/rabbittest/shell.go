package rabbittest

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// shell is the Erlang shell of a server, on its standard input and output. It
// does what rabbitmqctl does, without the seconds of CPU time that it takes.
type shell struct {
	in io.Writer

	// asking is held while one expression is evaluated.
	asking sync.Mutex
	asked  int

	// mu guards what follows.
	mu sync.Mutex
	// line is the line that the server has not finished yet.
	line []byte
	// last are the last lines printed.
	last []string
	// mark begins the line of the awaited answer, which goes to answer.
	mark   string
	answer chan string
}

// newShell makes the shell of cmd, which is not started yet.
func newShell(cmd *exec.Cmd) (*shell, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	s := &shell{in: in, answer: make(chan string, 1)}
	cmd.Stdout, cmd.Stderr = s, s
	cmd.WaitDelay = 5 * time.Second
	return s, nil
}

// eval evaluates an Erlang expression and returns its value as Erlang prints it.
// It stands in a function, since the shell keeps variables for the next one.
func (s *shell) eval(expression string) (string, error) {
	s.asking.Lock()
	defer s.asking.Unlock()
	s.asked++
	mark := fmt.Sprintf("answer %d: ", s.asked)
	s.mu.Lock()
	s.mark = mark
	s.mu.Unlock()
	if _, err := fmt.Fprintf(s.in, "io:format(\"~n%s~0p~n\", [catch (fun() -> %s end)()]).\n", mark, expression); err != nil {
		return "", fmt.Errorf("evaluating %q in RabbitMQ: %w", expression, err)
	}
	select {
	case value := <-s.answer:
		return value, nil
	case <-time.After(time.Minute):
		return "", fmt.Errorf("evaluating %q in RabbitMQ: no answer; it printed:\n%s", expression, s.tail())
	}
}

// awaitRunning waits until the server has booted and holds its own node for running,
// where its version tells the difference.
func (s *shell) awaitRunning() error {
	const running = "rabbit:is_booted() andalso (catch rabbit_nodes:is_running(node())) =/= false"
	for deadline := time.Now().Add(bootLimit); ; time.Sleep(20 * time.Millisecond) {
		answer, err := s.eval(running)
		if err != nil || answer == "true" {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waiting until the node runs: it answers %s; it printed:\n%s", answer, s.tail())
		}
	}
}

// Write takes what the server prints.
func (s *shell) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range p {
		if c != '\n' {
			s.line = append(s.line, c)
			continue
		}
		s.take(string(s.line))
		s.line = s.line[:0]
	}
	return len(p), nil
}

// take sorts one line. The caller holds mu.
func (s *shell) take(line string) {
	if value, ok := strings.CutPrefix(line, s.mark); ok && s.mark != "" {
		s.mark = ""
		s.answer <- value
		return
	}
	const kept = 40
	s.last = append(s.last, line)
	if len(s.last) > kept {
		s.last = s.last[1:]
	}
}

// tail is what the server printed last.
func (s *shell) tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(append(s.last, string(s.line)), "\n")
}
