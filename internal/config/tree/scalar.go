package tree

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// reader reads the text of one scalar.
type reader struct {
	schema *schema
	// unit is that of a bare number; quoted is the text as messages may show it.
	unit, quoted string
}

func (r reader) errorf(format string, args ...any) error {
	return fmt.Errorf("%q "+format, append([]any{clipped(r.quoted)}, args...)...)
}

// read sets v from text. It returns the text that was read, which differs from
// text where look-alike letters were replaced.
func (r reader) read(text string, v reflect.Value) (string, error) {
	switch kind := v.Kind(); {
	case len(r.schema.enum) > 0:
		return r.readEnum(text, v)
	case kind == reflect.String:
		v.SetString(text)
		return text, nil
	case kind == reflect.Bool:
		return text, r.readBool(text, v)
	case r.schema.typ == durationType:
		return text, r.readDuration(text, v)
	case kind == reflect.Int64 && r.schema.unit != "":
		return text, r.readSize(text, v)
	case kind == reflect.Float64:
		return text, r.readFloat(text, v)
	default:
		return text, r.readInteger(text, v)
	}
}

func (r reader) readEnum(text string, v reflect.Value) (string, error) {
	for _, candidate := range []string{text, latin(text)} {
		for _, names := range r.schema.enum {
			for _, name := range names {
				if strings.EqualFold(candidate, name) {
					v.SetString(names[0])
					return candidate, nil
				}
			}
		}
	}
	return "", r.errorf("is none of %s", strings.Join(canonical(r.schema.enum), ", "))
}

func canonical(enum [][]string) []string {
	var names []string
	for _, alternatives := range enum {
		names = append(names, alternatives[0])
	}
	return names
}

// lookAlikes are Cyrillic letters that can't be told from Latin ones by eye.
var lookAlikes = strings.NewReplacer(
	"а", "a", "е", "e", "о", "o", "р", "p", "с", "c", "у", "y", "х", "x", "і", "i", "ј", "j", "ѕ", "s",
	"А", "A", "В", "B", "Е", "E", "К", "K", "М", "M", "Н", "H", "О", "O", "Р", "P", "С", "C", "Т", "T", "Х", "X", "І", "I", "Ѕ", "S",
)

func latin(text string) string { return lookAlikes.Replace(text) }

func (r reader) readBool(text string, v reflect.Value) error {
	switch strings.ToLower(text) {
	case "true", "yes", "on":
		v.SetBool(true)
	case "false", "no", "off":
		v.SetBool(false)
	default:
		return r.errorf("is neither true nor false")
	}
	return nil
}

func (r reader) readInteger(text string, v reflect.Value) error {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return r.errorf("is not a whole number")
	}
	if v.CanUint() {
		if n, err := strconv.ParseUint(text, 10, v.Type().Bits()); err == nil {
			v.SetUint(n)
			return nil
		}
	} else if n, err := strconv.ParseInt(text, 10, v.Type().Bits()); err == nil {
		v.SetInt(n)
		return nil
	}
	return r.errorf("is too large or too small a number")
}

func (r reader) readFloat(text string, v reflect.Value) error {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return r.errorf("is not a number")
	}
	v.SetFloat(f)
	return nil
}

var durationUnits = map[string]time.Duration{"": time.Millisecond, "ms": time.Millisecond, "s": time.Second}

func (r reader) readDuration(text string, v reflect.Value) error {
	d, ok := duration(text, durationUnits[r.unit])
	if !ok {
		name := map[string]string{"s": "seconds"}[r.unit]
		if name == "" {
			name = "milliseconds"
		}
		return r.errorf("is not a time such as 500ms, 30s or 2m, or a number of %s", name)
	}
	v.SetInt(int64(d))
	return nil
}

// duration reads 1h30m, 2d, or a bare number of units; never a negative one.
func duration(text string, unit time.Duration) (time.Duration, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(n) * unit, n >= 0 && n <= math.MaxInt64/int64(unit)
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		return duration(days, 24*time.Hour)
	}
	d, err := time.ParseDuration(strings.ReplaceAll(text, " ", ""))
	return d, err == nil && d >= 0
}

var sizeUnits = map[string]int64{"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}

// bareUnits names the units of bare numbers in messages.
var bareUnits = map[string]string{"B": "bytes", "KB": "KB", "MB": "MB", "GB": "GB"}

func (r reader) readSize(text string, v reflect.Value) error {
	n, ok := size(text, sizeUnits[r.unit])
	if !ok {
		return r.errorf("is not a size such as 350KB or 4MB, or a number of %s", bareUnits[r.unit])
	}
	v.SetInt(n)
	return nil
}

// size reads 350KB, 4 mb, or a bare number of units; never a negative one.
func size(text string, unit int64) (int64, bool) {
	digits := strings.TrimRight(text, "BKMGbkmg ")
	if name := strings.ToUpper(strings.TrimSpace(text[len(digits):])); name != "" {
		unit = sizeUnits[name]
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n * unit, err == nil && unit > 0 && n >= 0 && n <= math.MaxInt64/unit
}
