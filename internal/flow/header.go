package flow

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Header is one application header. Value has one of the wire types
//
//	nil, bool, string, []byte, time.Time, Decimal,
//	int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64,
//	map[string]any (a table), []any (an array)
//
// with the same types inside tables and arrays. Text is made of it where it is
// needed, so that an exact copy stays possible.
type Header struct {
	Name  string
	Value any
}

// Decimal is an AMQP decimal: Value / 10^Scale.
type Decimal struct {
	Scale uint8
	Value int32
}

// Text is the value as microservices and routing rules see it: strings as they
// are, numbers in plain decimal, times by RFC 3339 in UTC, bytes as text when
// they are UTF-8 and in base64 otherwise, null as the empty string, tables and
// arrays as compact JSON with the keys in order.
func (h Header) Text() string {
	switch v := h.Value.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return bytesText(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case map[string]any, []any:
		return string(appendJSON(nil, v))
	default:
		return scalarText(v)
	}
}

// Reserved tells that the header belongs to the broker or to the gateway: it is
// no user header and is copied in neither direction. Names that begin with x-
// are compared without case, since HTTP changes it; CC and BCC as RabbitMQ
// reads them (https://www.rabbitmq.com/docs/sender-selected).
func (h Header) Reserved() bool {
	if h.Name == "CC" || h.Name == "BCC" {
		return true
	}
	if len(h.Name) < 2 || (h.Name[0] != 'x' && h.Name[0] != 'X') || h.Name[1] != '-' {
		return false
	}
	for _, name := range []string{"x-death", "x-delivery-count", "x-mq-msg-type", "x-reply-to-manager"} {
		if strings.EqualFold(h.Name, name) {
			return true
		}
	}
	for _, prefix := range []string{"x-gateway-", "x-first-death-", "x-last-death-"} {
		if len(h.Name) >= len(prefix) && strings.EqualFold(h.Name[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

// String is the exact value with Scale digits after the point.
func (d Decimal) String() string {
	digits := strconv.FormatInt(int64(d.Value), 10)
	if d.Scale == 0 {
		return digits
	}
	digits, negative := strings.CutPrefix(digits, "-")
	if missing := int(d.Scale) + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - int(d.Scale)
	text := digits[:point] + "." + digits[point:]
	if negative {
		return "-" + text
	}
	return text
}

// bytesText keeps bytes readable where they can be.
func bytesText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// scalarText writes booleans, numbers and decimals.
func scalarText(value any) string {
	switch v := value.(type) {
	case bool:
		return strconv.FormatBool(v)
	case float32:
		return strconv.FormatFloat(float64(v), 'f', -1, 32)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case int64:
		return strconv.FormatInt(v, 10)
	case int32:
		return strconv.FormatInt(int64(v), 10)
	default:
		return fmt.Sprint(v)
	}
}

// appendJSON writes a value of a wire type as compact JSON. It differs from
// encoding/json in what Text promises: bytes, plain numbers, no escaped <.
func appendJSON(out []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(out, "null"...)
	case map[string]any:
		return appendTable(out, v)
	case []any:
		return appendArray(out, v)
	case string, []byte, time.Time:
		return appendJSONString(out, Header{Value: v}.Text())
	case float32:
		return appendFloat(out, float64(v), 32)
	case float64:
		return appendFloat(out, v, 64)
	default:
		return append(out, scalarText(v)...)
	}
}

func appendTable(out []byte, table map[string]any) []byte {
	out = append(out, '{')
	for i, key := range slices.Sorted(maps.Keys(table)) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendJSONString(out, key), ':')
		out = appendJSON(out, table[key])
	}
	return append(out, '}')
}

func appendArray(out []byte, array []any) []byte {
	out = append(out, '[')
	for i, value := range array {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendJSON(out, value)
	}
	return append(out, ']')
}

// appendFloat writes what JSON has no number for as a string.
func appendFloat(out []byte, f float64, bits int) []byte {
	text := strconv.FormatFloat(f, 'f', -1, bits)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return appendJSONString(out, text)
	}
	return append(out, text...)
}

func appendJSONString(out []byte, s string) []byte {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // A string into memory cannot fail.
	return append(out, strings.TrimSuffix(text.String(), "\n")...)
}
