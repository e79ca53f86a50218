package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// progress tells how far a long command is: on a terminal in one line that is
// written over, elsewhere in a line now and then.
type progress struct {
	w      io.Writer
	live   bool
	shown  bool
	last   time.Time
	period time.Duration
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, live: isTerminal(w), last: time.Now(), period: 10 * time.Second}
	if p.live {
		p.period = 100 * time.Millisecond
	}
	return p
}

// tell shows the text when the last one is some time ago.
func (p *progress) tell(format string, args ...any) {
	if time.Since(p.last) < p.period {
		return
	}
	p.last = time.Now()
	if !p.live {
		fmt.Fprintf(p.w, format+"\n", args...)
		return
	}
	fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
	p.shown = true
}

// clear takes the line away, so that something else can be written.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// confirmation asks before something that can't be taken back.
type confirmation struct{ yes bool }

func (c *confirmation) register(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&c.yes, "yes", "y", false, "do not ask")
}

// possible is an error where nobody can be asked.
func (c *confirmation) possible(cmd *cobra.Command, what string) error {
	if c.yes || isTerminal(cmd.InOrStdin()) {
		return nil
	}
	return withHint(fmt.Errorf("%s has to be confirmed, and there is no terminal to ask", what), "add --yes")
}

// ask returns nil when the answer is yes.
func (c *confirmation) ask(cmd *cobra.Command, question string) error {
	if c.yes {
		return nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", question)
	answer := make(chan string, 1) // nobody may be there to take it
	go func() {
		line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n') // no answer is no
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case text := <-answer:
		if text == "y" || text == "yes" {
			return nil
		}
		return errDeclined
	case <-cmd.Context().Done():
		return errInterrupted
	}
}

var errDeclined = errors.New("not confirmed: nothing was done")

// printable is a text of somebody else's in one line that can't steer a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		default:
			return unicode.ReplacementChar
		}
	}, text)
}

// shortened cuts a text to so many characters.
func shortened(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return string(runes[:limit-1]) + "…"
}
