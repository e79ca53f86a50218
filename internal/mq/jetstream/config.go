package jetstream

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"mqgateway/internal/field"
	"mqgateway/internal/secret"
)

// EmbeddedConfig is mq.embedded: the broker inside the process.
type EmbeddedConfig struct {
	// Directory holds the messages. One process at a time may use it. Default ./data.
	Directory string `yaml:"directory"`
	// Listen is an address, such as 127.0.0.1:4222, where other programs reach the
	// broker. A port alone means 127.0.0.1. Default: no address.
	Listen string `yaml:"listen"`
	// Token that other programs show. Default: one is made and kept in the directory.
	Token secret.String `yaml:"token"`
	// Sync is when messages are forced to disk: always, or an interval. Default always.
	Sync string `yaml:"sync"`
}

const (
	defaultDirectory = "data"
	syncAlways       = "always"
	loopback         = "127.0.0.1"
)

// Validate reports every problem, by key.
func (c EmbeddedConfig) Validate() error {
	var problems []error
	if _, err := parseSync(c.Sync); err != nil {
		problems = append(problems, field.Errorf("sync", "%w", err))
	}
	if _, _, err := parseListen(c.Listen); err != nil {
		problems = append(problems, field.Errorf("listen", "%w", err))
	}
	return errors.Join(problems...)
}

// parseSync returns the interval between forced writes, 0 for always.
func parseSync(text string) (time.Duration, error) {
	if cmp.Or(text, syncAlways) == syncAlways {
		return 0, nil
	}
	interval, err := time.ParseDuration(text)
	if ms, numErr := strconv.ParseInt(text, 10, 32); numErr == nil {
		interval, err = time.Duration(ms)*time.Millisecond, nil
	}
	if err != nil || interval <= 0 {
		return 0, fmt.Errorf("%q is neither always nor an interval such as 500ms", text)
	}
	return interval, nil
}

// parseListen splits a listen address; an empty text is no address and gives no host.
func parseListen(text string) (host string, port int, err error) {
	if text == "" {
		return "", 0, nil
	}
	host, digits := "", text
	if strings.Contains(text, ":") {
		if host, digits, err = net.SplitHostPort(text); err != nil {
			return "", 0, fmt.Errorf("%q is no address of the form host:port", text)
		}
	}
	port, err = parsePort(digits)
	if err != nil {
		return "", 0, fmt.Errorf("%q is no address: %w", text, err)
	}
	return cmp.Or(host, loopback), port, nil
}

func parsePort(digits string) (int, error) {
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("port %q is not a number from 0 to 65535", digits)
	}
	return int(port), nil
}
