// Package secret keeps passwords out of logs and printed configurations by
// type: a [String] prints as asterisks wherever it is formatted.
package secret

import (
	"log/slog"
	"net/url"
	"strings"
)

// mask is what is seen in place of a secret.
const mask = "******"

// String is a text that must never be printed. Its zero value is no secret.
type String string

// Reveal returns the secret itself, for the one place that needs it.
func (s String) Reveal() string { return string(s) }

// String implements fmt.Stringer with a mask; an unset secret is empty.
func (s String) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString hides the secret from %#v.
func (s String) GoString() string { return `"` + s.String() + `"` }

// MarshalText hides the secret from JSON and YAML.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue hides the secret from slog.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// URI is an address that may hold a password, which is the only part of it that
// is hidden when it is printed.
type URI string

// Reveal returns the address with its password.
func (u URI) Reveal() string { return string(u) }

// String implements fmt.Stringer with the password masked. An address that can't
// be parsed is hidden whole.
func (u URI) String() string {
	parsed, err := url.Parse(string(u))
	if err != nil {
		return mask
	}
	if _, ok := parsed.User.Password(); ok {
		user := parsed.User.Username()
		parsed.User = nil
		return strings.Replace(parsed.String(), "://", "://"+url.PathEscape(user)+":"+mask+"@", 1)
	}
	return parsed.String()
}

// GoString hides the password from %#v.
func (u URI) GoString() string { return `"` + u.String() + `"` }

// MarshalText hides the password from JSON and YAML.
func (u URI) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// LogValue hides the password from slog.
func (u URI) LogValue() slog.Value { return slog.StringValue(u.String()) }
