package rabbitmq

import (
	"fmt"
	"math"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
)

// The limits of headers. What a reader gets has to fit again beside what a dead letter
// adds. The last two are those of the client library when it reads: the connection of
// a reader does not survive more.
const (
	maxHeadersSize = 64 << 10
	maxDepth       = 32
	maxElements    = 8192
)

// toTable makes the table of a message and its size on the wire. Type and
// ReplyToManager, where they are set, replace headers of their names.
func toTable(m *flow.Message) (amqp.Table, int, error) {
	count := len(m.Headers)
	if count == 0 && m.Type == 0 && m.ReplyToManager == "" {
		return nil, 0, nil
	}
	table := make(amqp.Table, count+2)
	size := 4
	for i := range m.Headers {
		n, err := addHeader(table, &m.Headers[i])
		if err != nil {
			return nil, 0, err
		}
		size += n
	}
	if m.Type != 0 {
		table[headerType] = int32(m.Type)
		size += 1 + len(headerType) + 5
	}
	if m.ReplyToManager != "" {
		table[headerManager] = m.ReplyToManager
		size += 1 + len(headerManager) + 5 + len(m.ReplyToManager)
	}
	if size > maxHeadersSize {
		return nil, 0, flow.Errorf(flow.BadMessage, "headers have %d bytes together; the limit is %d", size, maxHeadersSize)
	}
	return table, size, nil
}

// addHeader checks one header and puts it into the table.
func addHeader(table amqp.Table, h *flow.Header) (size int, err error) {
	value, size, err := toWire(h.Value, 0)
	if err == nil {
		size += 1 + len(h.Name)
		err = checkHeader(h.Name, value)
	}
	if err != nil {
		return 0, flow.Errorf(flow.BadMessage, "header %q: %w", clip(h.Name), err)
	}
	table[h.Name] = value
	return size, nil
}

func checkHeader(name string, value any) error {
	if err := checkName(name); err != nil {
		return err
	}
	if name == "CC" || name == "BCC" {
		return checkRoutingKeys(value)
	}
	return nil
}

func checkName(name string) error {
	if len(name) > maxShort {
		return fmt.Errorf("the name has %d bytes; the limit is %d", len(name), maxShort)
	}
	return nil
}

// clip shortens a name that is too long to be shown.
func clip(name string) string {
	const shown = 64
	if len(name) <= maxShort {
		return name
	}
	return name[:shown] + "…"
}

// toWire gives a value the type that the library writes, and its size with the
// octet of its type. The value itself is not changed.
func toWire(value any, depth int) (wire any, size int, err error) {
	switch v := value.(type) {
	case nil:
		return nil, 1, nil
	case bool, int8, uint8:
		return value, 2, nil
	case int16, uint16:
		return value, 3, nil
	case int32, uint32:
		return value, 5, nil
	case int64, time.Time:
		return value, 9, nil
	case int:
		return int64(v), 9, nil
	case uint64:
		return fromUnsigned(v)
	case uint:
		return fromUnsigned(uint64(v))
	case float32:
		return value, 5, checkFloat(float64(v))
	case float64:
		return value, 9, checkFloat(v)
	case string:
		return value, 5 + len(v), nil
	case []byte:
		return value, 5 + len(v), nil
	case flow.Decimal:
		return amqp.Decimal{Scale: v.Scale, Value: v.Value}, 6, nil
	case map[string]any:
		return tableToWire(v, depth+1)
	case []any:
		return arrayToWire(v, depth+1)
	default:
		return nil, 0, fmt.Errorf("type %T can't be sent", value)
	}
}

// fromUnsigned turns a number that RabbitMQ has no type for into one that it has.
func fromUnsigned(v uint64) (any, int, error) {
	if v > math.MaxInt64 {
		return nil, 0, fmt.Errorf("%d is above %d, the largest number that can be sent", v, int64(math.MaxInt64))
	}
	return int64(v), 9, nil
}

// checkFloat refuses what the broker can't read: it would end the connection.
func checkFloat(v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("%v is no number that can be sent", v)
	}
	return nil
}

func tableToWire(v map[string]any, depth int) (any, int, error) {
	if err := checkNesting(depth, len(v)); err != nil {
		return nil, 0, err
	}
	table := make(amqp.Table, len(v))
	size := 5
	for name, inner := range v {
		if err := checkName(name); err != nil {
			return nil, 0, fmt.Errorf("%q: %w", clip(name), err)
		}
		wire, n, err := toWire(inner, depth)
		if err != nil {
			return nil, 0, fmt.Errorf("%q: %w", name, err)
		}
		table[name] = wire
		size += 1 + len(name) + n
	}
	return table, size, nil
}

func arrayToWire(v []any, depth int) (any, int, error) {
	if err := checkNesting(depth, len(v)); err != nil {
		return nil, 0, err
	}
	array := make([]any, len(v))
	size := 5
	for i, inner := range v {
		wire, n, err := toWire(inner, depth)
		if err != nil {
			return nil, 0, fmt.Errorf("element %d: %w", i, err)
		}
		array[i] = wire
		size += n
	}
	return array, size, nil
}

func checkNesting(depth, elements int) error {
	if depth > maxDepth {
		return fmt.Errorf("is nested deeper than %d", maxDepth)
	}
	if elements > maxElements {
		return fmt.Errorf("a table or array has %d elements; the limit is %d", elements, maxElements)
	}
	return nil
}
