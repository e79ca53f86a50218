package jetstream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"mqgateway/internal/flow"
)

// The kinds of a header's value. Their numbers are part of the wire format.
const (
	kindNil byte = iota
	kindFalse
	kindTrue
	kindString
	kindBytes
	kindTime
	kindDecimal
	kindInt8
	kindInt16
	kindInt32
	kindInt64
	kindUint8
	kindUint16
	kindUint32
	kindUint64
	kindFloat32
	kindFloat64
	kindTable
	kindArray
)

// maxDepth is how deep tables and arrays may be nested.
const maxDepth = 32

// appendValue writes a value behind its kind.
func appendValue(buf []byte, value any, depth int) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(buf, kindNil), nil
	case bool:
		if v {
			return append(buf, kindTrue), nil
		}
		return append(buf, kindFalse), nil
	case string:
		return appendText(append(buf, kindString), v), nil
	case []byte:
		return appendText(append(buf, kindBytes), v), nil
	case time.Time:
		return appendTime(append(buf, kindTime), v), nil
	case flow.Decimal:
		return binary.AppendVarint(append(buf, kindDecimal, v.Scale), int64(v.Value)), nil
	case map[string]any:
		return appendTable(append(buf, kindTable), v, depth)
	case []any:
		return appendArray(append(buf, kindArray), v, depth)
	default:
		return appendNumber(buf, value)
	}
}

func appendNumber(buf []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case int8:
		return binary.AppendVarint(append(buf, kindInt8), int64(v)), nil
	case int16:
		return binary.AppendVarint(append(buf, kindInt16), int64(v)), nil
	case int32:
		return binary.AppendVarint(append(buf, kindInt32), int64(v)), nil
	case int64:
		return binary.AppendVarint(append(buf, kindInt64), v), nil
	case uint8:
		return append(buf, kindUint8, v), nil
	case uint16:
		return binary.AppendUvarint(append(buf, kindUint16), uint64(v)), nil
	case uint32:
		return binary.AppendUvarint(append(buf, kindUint32), uint64(v)), nil
	case uint64:
		return binary.AppendUvarint(append(buf, kindUint64), v), nil
	case float32:
		return binary.BigEndian.AppendUint32(append(buf, kindFloat32), math.Float32bits(v)), nil
	case float64:
		return binary.BigEndian.AppendUint64(append(buf, kindFloat64), math.Float64bits(v)), nil
	default:
		return nil, fmt.Errorf("type %T can't be sent", value)
	}
}

func appendTable(buf []byte, table map[string]any, depth int) ([]byte, error) {
	if depth == maxDepth {
		return nil, errTooDeep
	}
	buf = binary.AppendUvarint(buf, uint64(len(table)))
	var err error
	for name, value := range table {
		if buf, err = appendValue(appendText(buf, name), value, depth+1); err != nil {
			return nil, err
		}
	}
	return buf, nil
}

func appendArray(buf []byte, array []any, depth int) ([]byte, error) {
	if depth == maxDepth {
		return nil, errTooDeep
	}
	buf = binary.AppendUvarint(buf, uint64(len(array)))
	var err error
	for _, value := range array {
		if buf, err = appendValue(buf, value, depth+1); err != nil {
			return nil, err
		}
	}
	return buf, nil
}

func appendText[T string | []byte](buf []byte, text T) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(text))), text...)
}

func appendTime(buf []byte, at time.Time) []byte {
	return binary.AppendUvarint(binary.AppendVarint(buf, at.Unix()), uint64(at.Nanosecond()))
}

var (
	errTooDeep  = fmt.Errorf("tables and arrays are nested deeper than %d levels", maxDepth)
	errTooShort = errors.New("ends too early")
)

// reader reads what the append functions wrote. The first error stays, and
// whatever is read after it is zero.
type reader struct {
	data []byte
	text string // the same as data: texts are cut out of it without a copy
	err  error
}

func newReader(data []byte) reader { return reader{data: data, text: string(data)} }

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.data, r.text = nil, ""
}

// part is a reader of the next n bytes.
func (r *reader) part(n uint64) reader {
	if n > uint64(len(r.data)) {
		r.fail(errTooShort)
		return reader{err: errTooShort}
	}
	part := reader{data: r.data[:n:n], text: r.text[:n]}
	r.skip(int(n))
	return part
}

func (r *reader) skip(n int) { r.data, r.text = r.data[n:], r.text[n:] }

func (r *reader) bytes(n uint64) []byte { return r.part(n).data }

func (r *reader) string() string { return r.part(r.uvarint()).text }

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.fail(errTooShort)
		return 0
	}
	r.skip(n)
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		r.fail(errTooShort)
		return 0
	}
	r.skip(n)
	return v
}

func (r *reader) time() time.Time {
	seconds, nanos := r.varint(), r.uvarint()
	if nanos >= uint64(time.Second) {
		r.fail(errors.New("holds a time that does not exist"))
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanos)).UTC()
}

func (r *reader) value(depth int) any {
	switch kind := r.byte(); kind {
	case kindNil:
		return nil
	case kindFalse, kindTrue:
		return kind == kindTrue
	case kindString:
		return r.string()
	case kindBytes:
		return append([]byte{}, r.bytes(r.uvarint())...)
	case kindTime:
		return r.time()
	case kindDecimal:
		return flow.Decimal{Scale: r.byte(), Value: int32(r.varint())}
	case kindTable:
		return r.table(depth)
	case kindArray:
		return r.array(depth)
	default:
		return r.number(kind)
	}
}

func (r *reader) number(kind byte) any {
	switch kind {
	case kindInt8:
		return int8(r.varint())
	case kindInt16:
		return int16(r.varint())
	case kindInt32:
		return int32(r.varint())
	case kindInt64:
		return r.varint()
	case kindUint8:
		return r.byte()
	case kindUint16:
		return uint16(r.uvarint())
	case kindUint32:
		return uint32(r.uvarint())
	case kindUint64:
		return r.uvarint()
	case kindFloat32:
		if b := r.bytes(4); b != nil {
			return math.Float32frombits(binary.BigEndian.Uint32(b))
		}
	case kindFloat64:
		if b := r.bytes(8); b != nil {
			return math.Float64frombits(binary.BigEndian.Uint64(b))
		}
	default:
		r.fail(fmt.Errorf("holds a value of unknown kind %d", kind))
	}
	return nil
}

// size reads how many elements follow, each of least bytes or more, so that a
// lie about it can't make us allocate.
func (r *reader) size(least, depth int) int {
	n := r.uvarint()
	switch {
	case depth == maxDepth:
		r.fail(errTooDeep)
	case n > uint64(len(r.data)/least):
		r.fail(errTooShort)
	default:
		return int(n)
	}
	return 0
}

func (r *reader) table(depth int) map[string]any {
	n := r.size(2, depth)
	table := make(map[string]any, n)
	for range n {
		name := r.string()
		table[name] = r.value(depth + 1)
	}
	return table
}

func (r *reader) array(depth int) []any {
	n := r.size(1, depth)
	array := make([]any, n)
	for i := range array {
		array[i] = r.value(depth + 1)
	}
	return array
}
