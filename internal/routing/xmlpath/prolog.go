package xmlpath

import "bytes"

// declaration reads <?xml version="1.0" …?>. The body is UTF-8 by now, whatever
// its encoding says.
func (s *scanner) declaration() error {
	begin := s.at
	if begin != s.begin {
		return s.fail(begin, "an XML declaration that is not at the beginning")
	}
	s.at += len("<?xml")
	s.attributes = s.attributes[:0]
	for {
		spaced := s.skipSpace()
		if bytes.HasPrefix(s.body[s.at:], []byte("?>")) {
			s.at += 2
			return s.checkDeclaration(begin)
		}
		if !spaced {
			return s.fail(s.at, "a broken XML declaration")
		}
		if err := s.readAttribute(); err != nil {
			return err
		}
	}
}

// checkDeclaration holds the declaration's parts to their order and values.
func (s *scanner) checkDeclaration(begin int) error {
	known := []string{"version", "encoding", "standalone"}
	next := 0
	for _, a := range s.attributes {
		for next < len(known) && string(a.name.of(s.body)) != known[next] {
			next++
		}
		if next == len(known) {
			return s.fail(int(a.name.from), "a broken XML declaration")
		}
		next++
	}
	if len(s.attributes) == 0 || string(s.attributes[0].name.of(s.body)) != "version" {
		return s.fail(begin, "an XML declaration without a version")
	}
	if string(s.attributes[0].value.of(s.body)) != "1.0" {
		return s.fail(begin, "the body is not XML 1.0")
	}
	return nil
}

// skipDoctype reads over a DOCTYPE with its internal subset. Nothing of it is
// ever used, so that no entity can be declared.
func (s *scanner) skipDoctype() error {
	begin := s.at
	const keyword = "<!DOCTYPE"
	if !bytes.HasPrefix(s.body[begin:], []byte(keyword)) {
		return s.fail(begin, "a declaration that XML does not allow here")
	}
	if s.root || s.doctype {
		return s.fail(begin, "a DOCTYPE that is not before the root element, or a second one")
	}
	s.doctype = true
	s.at += len(keyword)
	if !s.skipSpace() {
		return s.fail(begin, "a broken DOCTYPE")
	}
	if _, err := s.name("a DOCTYPE"); err != nil {
		return err
	}
	return s.skipSubset(begin)
}

// skipSubset reads to the > of the DOCTYPE, past quotes, comments and brackets.
func (s *scanner) skipSubset(begin int) error {
	inside, declarations := false, 0
	for s.at < len(s.body) {
		rest := s.body[s.at:]
		switch c := rest[0]; {
		case c == '"' || c == '\'':
			if _, err := s.until(s.at+1, string(c), "a literal of the DOCTYPE"); err != nil {
				return err
			}
			continue
		case inside && bytes.HasPrefix(rest, []byte("<!--")):
			if _, err := s.comment(); err != nil {
				return err
			}
			continue
		case inside && bytes.HasPrefix(rest, []byte("<?")):
			if _, err := s.instruction(); err != nil {
				return err
			}
			continue
		case c == '[' && !inside && declarations == 0:
			inside = true
		case c == ']' && inside && declarations == 0:
			inside = false
		case c == '<':
			declarations++
		case c == '>' && declarations > 0:
			declarations--
		case c == '>' && !inside:
			s.at++
			return nil
		}
		s.at++
	}
	return s.fail(begin, "a DOCTYPE does not end")
}
