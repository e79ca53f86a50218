package xmlpath

import (
	"bytes"
	"fmt"
)

func (s *scanner) startTag() (token, error) {
	begin := s.at
	if s.root && len(s.open) == 0 {
		return token{}, s.fail(begin, "a second root element")
	}
	s.at++
	name, err := s.qualifiedName("a tag")
	if err != nil {
		return token{}, err
	}
	if err := s.readAttributes(); err != nil {
		return token{}, err
	}
	tok := token{kind: startTag, name: name}
	if s.body[s.at] == '/' {
		tok.empty = true
		s.at++
	}
	if s.at == len(s.body) || s.body[s.at] != '>' {
		return token{}, s.fail(s.at, "a tag is not closed by >")
	}
	s.at++
	tok.data = span{int32(s.at), int32(s.at)}
	s.root = true
	if len(s.open)+1 > s.limits.Depth {
		return token{}, s.fail(begin, fmt.Sprintf("elements are nested deeper than %d", s.limits.Depth))
	}
	if !tok.empty {
		s.open = append(s.open, name)
	}
	return tok, s.count(begin, 1+len(s.attributes))
}

// readAttributes reads up to the > or / that ends the tag, which is there when
// it returns no error.
func (s *scanner) readAttributes() error {
	s.attributes = s.attributes[:0]
	for {
		spaced := s.skipSpace()
		if s.at == len(s.body) {
			return s.fail(s.at, "the body ends inside a tag")
		}
		if c := s.body[s.at]; c == '>' || c == '/' {
			return nil
		}
		if !spaced {
			return s.fail(s.at, "a character that no name may have, or a missing blank before an attribute")
		}
		if err := s.readAttribute(); err != nil {
			return err
		}
	}
}

func (s *scanner) readAttribute() error {
	begin := s.at
	name, err := s.qualifiedName("an attribute")
	if err != nil {
		return err
	}
	value, err := s.attributeValue()
	if err != nil {
		return err
	}
	for _, other := range s.attributes {
		if bytes.Equal(other.name.of(s.body), name.of(s.body)) {
			return s.fail(begin, "an attribute is given twice")
		}
	}
	if len(s.attributes) == maxAttributes {
		return s.fail(begin, fmt.Sprintf("an element has more than %d attributes", maxAttributes))
	}
	s.attributes = append(s.attributes, attribute{name, value})
	return nil
}

// attributeValue reads = and the quoted value.
func (s *scanner) attributeValue() (span, error) {
	s.skipSpace()
	if s.at == len(s.body) || s.body[s.at] != '=' {
		return span{}, s.fail(s.at, "an attribute has no value")
	}
	s.at++
	s.skipSpace()
	if s.at == len(s.body) || (s.body[s.at] != '"' && s.body[s.at] != '\'') {
		return span{}, s.fail(s.at, "the value of an attribute has no quotes")
	}
	quote := s.body[s.at]
	s.at++
	length := bytes.IndexByte(s.body[s.at:], quote)
	if length < 0 {
		return span{}, s.fail(s.at, "the value of an attribute does not end")
	}
	value := span{int32(s.at), int32(s.at + length)}
	if at := bytes.IndexByte(value.of(s.body), '<'); at >= 0 {
		return span{}, s.fail(s.at+at, "< inside the value of an attribute")
	}
	if err := s.checkText(value, true); err != nil {
		return span{}, err
	}
	s.at += length + 1
	return value, nil
}

func (s *scanner) endTag() (token, error) {
	begin := s.at
	if len(s.open) == 0 {
		return token{}, s.fail(begin, "an end tag without a start tag")
	}
	name := s.open[len(s.open)-1]
	s.at += 2
	if !bytes.HasPrefix(s.body[s.at:], name.of(s.body)) {
		return token{}, s.fail(begin, "an end tag that is not that of the open element")
	}
	s.at += int(name.to - name.from)
	s.skipSpace()
	if s.at == len(s.body) || s.body[s.at] != '>' {
		return token{}, s.fail(begin, "an end tag that is not that of the open element")
	}
	s.at++
	s.open = s.open[:len(s.open)-1]
	return token{kind: endTag, name: name, data: span{int32(begin), int32(begin)}}, nil
}

// qualifiedName reads the name of a tag or an attribute: a prefix and a colon may
// stand in front (https://www.w3.org/TR/xml-names/#ns-qualnames).
func (s *scanner) qualifiedName(of string) (span, error) {
	name, err := s.name(of)
	if err == nil && bytes.Count(name.of(s.body), []byte(":")) > 1 {
		return span{}, s.fail(int(name.from), of+" has more than one colon in its name")
	}
	return name, err
}

// name reads any name.
func (s *scanner) name(of string) (span, error) {
	begin := s.at
	for s.at < len(s.body) {
		if s.at > begin && plainName[s.body[s.at]] {
			s.at++
			continue
		}
		size := nameCharacter(s.body[s.at:], s.at == begin)
		if size == 0 {
			break
		}
		s.at += size
	}
	if s.at == begin {
		return span{}, s.fail(begin, of+" has no name")
	}
	return span{int32(begin), int32(s.at)}, nil
}
