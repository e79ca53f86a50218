package secret_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"mqgateway/internal/secret"
)

func TestSecretsAreNeverPrinted(t *testing.T) {
	const password = "p@ss"
	config := struct {
		Password secret.String
		URI      secret.URI
	}{password, "amqp://gate:p%40ss@mq.example.com:5672/orders"}
	asJSON, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "password", config.Password, "uri", config.URI)
	for form, text := range map[string]string{
		"%v": fmt.Sprintf("%v", config), "%+v": fmt.Sprintf("%+v", config), "%#v": fmt.Sprintf("%#v", config),
		"%s": fmt.Sprintf("%s", config), "JSON": string(asJSON), "YAML": string(asYAML), "slog": logged.String(),
	} {
		if strings.Contains(text, password) || strings.Contains(text, "p%40ss") {
			t.Errorf("%s prints the secret: %s", form, text)
		}
		if !strings.Contains(text, "mq.example.com") {
			t.Errorf("%s hides the address, too: %s", form, text)
		}
	}
	if config.Password.Reveal() != password {
		t.Error("Reveal does not give the secret")
	}
}

func TestURI(t *testing.T) {
	for _, tt := range []struct{ uri, want string }{
		{"amqp://mq.example.com", "amqp://mq.example.com"},
		{"amqp://gate@mq.example.com/v", "amqp://gate@mq.example.com/v"},
		{"amqp://gate:secret@mq.example.com/v", "amqp://gate:******@mq.example.com/v"},
		{"amqp://gate:se%cret@mq.example.com/v", "******"},
		{"", ""},
	} {
		if got := secret.URI(tt.uri).String(); got != tt.want {
			t.Errorf("String of %q = %q, want %q", tt.uri, got, tt.want)
		}
	}
}

func ExampleString() {
	fmt.Println(secret.String("hunter2"), secret.String("hunter2").Reveal())
	// Output: ****** hunter2
}
