package mapping

import (
	"strings"

	"mqgateway/internal/flow"
)

// systemHeader is a system header that a microservice wrote; slot is its place
// in [flow.Properties].
type systemHeader struct {
	property    *flow.Property
	slot        int
	name, value string
}

// slots are the places of the properties that a microservice may write. When a
// message was put is decided here, and echoed by many.
var slots = func() map[*flow.Property]int {
	places := map[*flow.Property]int{}
	for i := range flow.Properties {
		p := &flow.Properties[i]
		if !p.ReadOnly && p.Name != "PutDateTime" {
			places[p] = i
		}
	}
	expiry, _ := flow.PropertyByName("Expiry")
	expiration, _ := flow.PropertyByName("JMSExpiration")
	places[expiration] = places[expiry]
	return places
}()

// propertySet is a set of places in [flow.Properties].
type propertySet uint32

// propertiesOf are those of these canonical names.
func propertiesOf(names ...string) propertySet {
	var set propertySet
	for _, name := range names {
		property, _ := flow.PropertyByName(name)
		set |= 1 << slots[property]
	}
	return set
}

func (s propertySet) has(slot int) bool { return s&(1<<slot) != 0 }

// applySystemHeaders sets the properties that headers name, each once: of
// several names for one property the canonical one counts, else the first by
// the alphabet. Names that are unknown, ignored or may not be written set
// nothing. It tells whether the expiry is set.
func applySystemHeaders(m *flow.Message, headers map[string]string, ignored propertySet) (expirySet bool, err error) {
	if len(headers) == 0 {
		return false, nil
	}
	chosen := make([]systemHeader, len(flow.Properties))
	for name, value := range headers {
		property, _ := flow.PropertyByName(name)
		slot, writable := slots[property]
		h := systemHeader{property, slot, name, value}
		if writable && value != "" && !ignored.has(slot) && h.before(chosen[slot]) {
			chosen[slot] = h
		}
	}
	for _, h := range chosen {
		if h.property == nil {
			continue
		}
		if err := h.apply(m); err != nil {
			return false, err
		}
		expirySet = expirySet || h.is("Expiry")
	}
	return expirySet, nil
}

// before tells that h counts rather than other, which may be none.
func (h systemHeader) before(other systemHeader) bool {
	if other.property == nil {
		return true
	}
	if canonical := h.canonical(); canonical != other.canonical() {
		return canonical
	}
	return h.name < other.name
}

func (h systemHeader) is(canonical string) bool { return flow.Properties[h.slot].Name == canonical }

func (h systemHeader) canonical() bool {
	return strings.EqualFold(h.name, flow.Properties[h.slot].Name)
}

// apply sets the property, unless it is an id that the message has already.
func (h systemHeader) apply(m *flow.Message) error {
	switch {
	case h.is("MsgId") && m.ID != "", h.is("CorrelId") && m.CorrelID != "":
		return nil
	case len(h.value) > maxShort:
		return flow.Errorf(flow.BadMessage, "systemHeaders[%q]: %d bytes, at most %d are allowed", h.name, len(h.value), maxShort)
	}
	if err := h.property.Set(m, h.value); err != nil {
		return flow.Errorf(flow.BadMessage, "systemHeaders[%q]: %w", h.name, err)
	}
	return nil
}
