package rabbittest_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/test/rabbittest"
)

// asProgram makes the test binary a program that is no test.
const asProgram = "RABBITTEST_AS_PROGRAM"

// inProgram is what a program gives the package in place of a test.
type inProgram struct{}

func (inProgram) Helper()                    {}
func (inProgram) Cleanup(func())             {}
func (inProgram) Logf(f string, args ...any) { fmt.Printf(f+"\n", args...) }
func (inProgram) Error(args ...any)          { panic(fmt.Sprint(args...)) }
func (inProgram) Errorf(f string, a ...any)  { panic(fmt.Sprintf(f, a...)) }
func (inProgram) Fatal(args ...any)          { panic(fmt.Sprint(args...)) }
func (inProgram) Fatalf(f string, a ...any)  { panic(fmt.Sprintf(f, a...)) }

// program does to a node what a test can do.
func program(n *rabbittest.Node) error {
	t := inProgram{}
	v := n.VHost(t)
	if _, err := v.Channel(t).QueueDeclare("q", true, false, false, false, nil); err != nil {
		return fmt.Errorf("declaring: %w", err)
	}
	n.Stop(t)
	n.Start(t)
	n.Pause(t)
	n.Resume(t)
	n.SetMemoryAlarm(t, true)
	n.SetMemoryAlarm(t, false)
	if got := v.Messages(t, "q"); got != 0 {
		return fmt.Errorf("queue has %d messages, want 0", got)
	}
	n.Kill(t)
	if _, err := amqp.Dial(v.URI()); err == nil {
		return errors.New("connected to a server that was killed")
	}
	return nil
}

func TestNodeOfAProgram(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), asProgram+"=yes")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the program ends with %v:\n%s", err, out)
	}
}
