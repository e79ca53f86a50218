package routing_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"mqgateway/internal/flow"
	"mqgateway/internal/routing"
)

// TestDocumentation loads every example of the page about routing.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/routing.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(page, -1)
	if len(examples) < 4 {
		t.Fatalf("the page has %d examples", len(examples))
	}
	for i, example := range examples {
		var file struct {
			Routing routing.Config `yaml:"routing"`
		}
		decoder := yaml.NewDecoder(strings.NewReader(string(example[1])))
		decoder.KnownFields(true)
		if err := decoder.Decode(&file); err != nil {
			t.Errorf("example %d: %v", i+1, err)
			continue
		}
		r, err := routing.New(file.Routing, routing.Options{})
		if err != nil {
			t.Errorf("example %d: %v", i+1, err)
			continue
		}
		if len(r.Warnings()) > 0 {
			t.Errorf("example %d: warnings %v", i+1, r.Warnings())
		}
	}
}

// TestDocumentedMessage routes the message that the page's first example is
// explained by.
func TestDocumentedMessage(t *testing.T) {
	page, err := os.ReadFile("../../docs/routing.md")
	if err != nil {
		t.Fatal(err)
	}
	first := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	r := router(t, string(first[1]), routing.Options{})
	m := &flow.Message{
		Headers: []flow.Header{user("OperationName", "PaymentRq")},
		Body:    []byte("<PaymentRq><PartnerID>Bank7</PartnerID></PaymentRq>"),
	}
	got, err := r.Route(m)
	if want := (flow.Route{Name: "default", Destination: "core-payment-bank7-rs", Transport: "grpc"}); err != nil || got != want {
		t.Errorf("Route = %+v, %v, want %+v", got, err, want)
	}
}
