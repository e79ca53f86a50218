package mapping

import (
	"mqgateway/internal/flow"
)

// Limits of a message that is sent. Short strings are AMQP's own
// (https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, 4.2.5.3); all headers
// have to fit one frame of 128 KiB, which is what brokers agree on by default.
const (
	maxShort       = 255
	maxHeaders     = 256
	maxHeaderSize  = 32 << 10
	maxHeadersSize = 64 << 10
)

// checkShort holds a property against the limit of short strings.
func checkShort(name, value string) error {
	if len(value) > maxShort {
		return flow.Errorf(flow.BadMessage, "%s: %d bytes, at most %d are allowed", name, len(value), maxShort)
	}
	return nil
}

func checkHeader(name, value string) error {
	switch {
	case name == "":
		return flow.Errorf(flow.BadMessage, "userHeaders: a name is empty")
	case len(name) > maxShort:
		return flow.Errorf(flow.BadMessage, "userHeaders[%.40q…]: name of %d bytes, at most %d are allowed", name, len(name), maxShort)
	case len(value) > maxHeaderSize:
		return flow.Errorf(flow.BadMessage, "userHeaders[%q]: %d bytes, at most %d are allowed", name, len(value), maxHeaderSize)
	}
	return nil
}

// checkHeaders holds all headers together, whose values are strings, against
// the limits.
func checkHeaders(headers []flow.Header) error {
	if len(headers) > maxHeaders {
		return flow.Errorf(flow.BadMessage, "userHeaders: %d headers, at most %d are allowed", len(headers), maxHeaders)
	}
	size := 0
	for _, h := range headers {
		value, _ := h.Value.(string)
		size += len(h.Name) + len(value)
	}
	if size > maxHeadersSize {
		return flow.Errorf(flow.BadMessage, "userHeaders: %d bytes together, at most %d are allowed", size, maxHeadersSize)
	}
	return nil
}
