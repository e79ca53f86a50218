package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

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
	if registered := registeredMetrics(); !slices.Equal(told, registered) {
		t.Errorf("the page names\n%v, registered are\n%v", told, registered)
	}
}

// TestPagesNameMetricsThatExist finds names in alerts and elsewhere that nothing counts by.
func TestPagesNameMetricsThatExist(t *testing.T) {
	registered := registeredMetrics()
	for _, page := range pages(t) {
		for _, name := range regexp.MustCompile(`\bgateway_\w+`).FindAllString(page.text, -1) {
			if !slices.Contains(registered, name) {
				t.Errorf("%s: there is no metric %s", page.file, name)
			}
		}
	}
}

// registeredMetrics are the names of the gateway's own metrics, sorted.
func registeredMetrics() (names []string) {
	registry := telemetry.NewRegistry("v1", "abc")
	middleware.NewMetrics(registry)
	mq.NewMetrics(registry)
	newReloadMetrics(registry)
	descriptions := make(chan *prometheus.Desc)
	go func() { registry.Describe(descriptions); close(descriptions) }()
	for d := range descriptions {
		name := regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(d.String())[1]
		if regexp.MustCompile(`^(gateway|errors)_`).MatchString(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// page is one of the documentation.
type page struct{ file, text string }

func pages(t *testing.T) (all []page) {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("pages = %v, %v", files, err)
	}
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page{file, string(text)})
	}
	return all
}

// TestLinksOfPagesLead looks for the files and headings that links inside of the
// repository name.
func TestLinksOfPagesLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]*))?\)`)
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(page.text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			target := page.file
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(page.file), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: link %s: %v", page.file, m[0], err)
				continue
			}
			if m[2] != "" && !slices.Contains(anchors(t, target), m[2]) {
				t.Errorf("%s: link %s: no such heading", page.file, m[0])
			}
		}
	}
}

// anchors are the headings of a page in the form that links have.
func anchors(t *testing.T, file string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?m)^#+ (.*)$").FindAllStringSubmatch(string(text), -1) {
		plain := regexp.MustCompile(`[^\w\s-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(plain, " ", "-"))
	}
	return all
}

// TestConfigurationOfTheKubernetesPage loads what the ConfigMap of the page has, with
// the variables of its Deployment.
func TestConfigurationOfTheKubernetesPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)\n---\n").FindSubmatch(text)
	if block == nil {
		t.Fatal("the page has no ConfigMap")
	}
	var configMap struct {
		Data map[string]string `yaml:"data"`
	}
	if err := yaml.Unmarshal(block[1], &configMap); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "application.yml")
	if err := os.WriteFile(file, []byte(configMap.Data["application.yml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"POD_NAME=orders-gateway-5dddcc6455-vd4j9", "GATEWAY_MQ_CONNECTION_CONNECTIONS_0_PASSWORD=secret"}
	loaded, err := config.Load([]string{file}, config.Options{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded.Warnings) > 0 || loaded.Config.MQ.Connection.Connections[0].Password.Reveal() != "secret" {
		t.Errorf("warnings %v, or no password", loaded.Warnings)
	}
}
