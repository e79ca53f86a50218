package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// palette colours text for a terminal; its zero value leaves text as it is.
type palette struct{ on bool }

// paletteFor has colours when w is a terminal and nobody asked for none
// (https://no-color.org).
func paletteFor(w io.Writer) palette {
	return palette{isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// The sequences are those of ECMA-48, chapter 8.3.117.

func (p palette) good(text string) string  { return p.paint("1;32", text) }
func (p palette) bad(text string) string   { return p.paint("1;31", text) }
func (p palette) value(text string) string { return p.paint("36", text) }
func (p palette) faint(text string) string { return p.paint("2", text) }

func (p palette) paint(sequence, text string) string {
	if !p.on || text == "" {
		return text
	}
	return "\x1b[" + sequence + "m" + text + "\x1b[0m"
}
