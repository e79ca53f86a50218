package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const exampleConfig = "examples/routing/application.yml"

// TestRoutingPageShowsWhatIsPrinted runs the commands that the page shows.
func TestRoutingPageShowsWhatIsPrinted(t *testing.T) {
	t.Chdir("../..")
	page, err := os.ReadFile("docs/routing.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```console\n\\$ gateway (.*?)\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(shown) < 2 {
		t.Fatalf("the page shows %d commands", len(shown))
	}
	for _, m := range shown {
		code, stdout, stderr := command(t, strings.Fields(m[1])...)
		if code != 0 || stderr != "" {
			t.Errorf("%s: exit code %d, %s", m[1], code, stderr)
		}
		if diff := cmp.Diff(m[2], stdout); diff != "" {
			t.Errorf("%s (-page +output):\n%s", m[1], diff)
		}
	}
}

// TestRoutingPageCases runs the cases that the page shows, beside the messages of
// the example.
func TestRoutingPageCases(t *testing.T) {
	t.Chdir("../..")
	page, err := os.ReadFile("docs/routing.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yml\n(cases:.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("the page has no cases")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("examples/routing/tests")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "page.yml")
	if err := os.WriteFile(file, block[1], 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := command(t, "test", "-c", exampleConfig, file); code != 0 {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

// TestRoutingExample runs all cases of the example.
func TestRoutingExample(t *testing.T) {
	t.Chdir("../..")
	code, stdout, stderr := command(t, "test", "-c", exampleConfig, "examples/routing/tests/*.yml")
	if code != 0 || stderr != "" || !strings.Contains(stdout, "\n8 passed\n") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}
