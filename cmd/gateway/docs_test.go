package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"mqgateway/internal/config"
	"mqgateway/internal/middleware"
	"mqgateway/internal/mq"
	"mqgateway/internal/telemetry"
)

func TestExamplesAreCorrect(t *testing.T) {
	files, err := filepath.Glob("../../examples/*/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("examples = %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			loaded, err := config.Load([]string{file}, config.Options{Environ: []string{"HOSTNAME=example"}})
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range loaded.Warnings {
				t.Errorf("warning: %v", w)
			}
		})
	}
}

// TestOperationsPageNamesEveryMetric holds the table of the page against what is
// registered.
func TestOperationsPageNamesEveryMetric(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `((?:gateway|errors)_\\w+)` \\|").FindAllStringSubmatch(string(page), -1) {
		told = append(told, m[1])
	}
	slices.Sort(told)
	registry := telemetry.NewRegistry("v1", "abc")
	middleware.NewMetrics(registry)
	mq.NewMetrics(registry)
	newReloadMetrics(registry)
	descriptions := make(chan *prometheus.Desc)
	go func() { registry.Describe(descriptions); close(descriptions) }()
	var registered []string
	for d := range descriptions {
		name := regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(d.String())[1]
		if regexp.MustCompile(`^(gateway|errors)_`).MatchString(name) {
			registered = append(registered, name)
		}
	}
	slices.Sort(registered)
	if !slices.Equal(told, registered) {
		t.Errorf("the page names\n%v, registered are\n%v", told, registered)
	}
}
