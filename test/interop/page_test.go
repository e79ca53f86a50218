package interop

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const page = "../../docs/interoperability.md"

func readPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pageCommands are the shell commands of the page for a program.
func pageCommands(t *testing.T, program string) []string {
	t.Helper()
	var commands []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(readPage(t), -1) {
		if strings.HasPrefix(m[1], program+" ") {
			commands = append(commands, m[1])
		}
	}
	return commands
}

// TestPageShowsTheFiles holds that what the page shows below the link to a file
// is that file, and that each example has its link.
func TestPageShowsTheFiles(t *testing.T) {
	t.Parallel()
	text := readPage(t)
	shown := 0
	for _, m := range regexp.MustCompile("(?s)\\]\\(([^)]+)\\):\n\n```\\w+\n(.*?)```").FindAllStringSubmatch(text, -1) {
		file, err := os.ReadFile(filepath.Join(filepath.Dir(page), m[1]))
		if err != nil {
			t.Errorf("reading a file that the page shows: %v", err)
		}
		if m[2] != string(file) {
			t.Errorf("the page shows %s as it is not; copy the file there", m[1])
		}
		shown++
	}
	if shown == 0 {
		t.Error("the page shows no file")
	}
	files, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.Contains(text, "](../examples/interoperability/"+f.Name()) {
			t.Errorf("the page has no link to %s", f.Name())
		}
	}
	if !strings.Contains(text, nginxClient) {
		t.Errorf("the page does not have the line %s", nginxClient)
	}
}
