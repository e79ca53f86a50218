package xmlpath

// nodeKind is a kind of node of the XPath data model.
type nodeKind uint8

const (
	rootNode nodeKind = iota
	elementNode
	attributeNode
	namespaceNode // an xmlns attribute: no node of the attribute axis
	textNode
	commentNode
	instructionNode
)

// node is one node of a Document. Nodes lie in document order, an element
// before its attributes and these before its children, so that the order of
// two nodes is that of their indexes.
type node struct {
	kind   nodeKind
	name   span  // of elements, attributes and instructions
	data   span  // raw text of attributes, text, comments and instructions
	parent int32 // -1 for the root
	end    int32 // the first node behind this one and its descendants
	// pieces says that a text node goes on in CDATA sections: data spans them all.
	pieces bool
}

// Document is a body as a tree. It refers to the body's bytes.
type Document struct {
	body  []byte
	nodes []node
	open  []int32 // while parsing: the path to the open element
}

// Parse reads a whole body. A body that is not well-formed or over the limits
// is a [*SyntaxError].
func Parse(body []byte, limits Limits) (*Document, error) {
	d := &Document{body: body, nodes: make([]node, 1, 16+len(body)/16), open: make([]int32, 1, 16)}
	d.nodes[0].parent = -1
	var s scanner
	s.reset(body, limits)
	for {
		tok, err := s.next()
		if err != nil {
			return nil, err
		}
		if tok.kind == endOfBody {
			d.nodes[0].end = int32(len(d.nodes))
			return d, nil
		}
		d.add(tok, s.attributes)
	}
}

// add puts a token into the tree.
func (d *Document) add(tok token, attributes []attribute) {
	switch tok.kind {
	case startTag:
		element := d.append(node{kind: elementNode, name: tok.name})
		d.open = append(d.open, element)
		for _, a := range attributes {
			d.append(node{kind: attributeKind(a.name.of(d.body)), name: a.name, data: a.value})
		}
		if tok.empty {
			d.close()
		}
	case endTag:
		d.close()
	case textRun, cdataSection:
		d.addText(tok)
	case comment:
		d.append(node{kind: commentNode, data: tok.data})
	case instruction:
		d.append(node{kind: instructionNode, name: tok.name, data: tok.data})
	}
}

// addText joins runs and CDATA sections that touch: they are one text node.
func (d *Document) addText(tok token) {
	last := &d.nodes[len(d.nodes)-1]
	if last.kind == textNode && last.parent == d.open[len(d.open)-1] {
		last.data.to = tok.data.to
		last.pieces = true
		if tok.kind == cdataSection {
			last.data.to += int32(len("]]>"))
		}
		return
	}
	if tok.kind == cdataSection {
		if tok.data.from == tok.data.to {
			return // A text node has at least one character.
		}
		whole := span{tok.data.from - int32(len("<![CDATA[")), tok.data.to + int32(len("]]>"))}
		d.append(node{kind: textNode, data: whole, pieces: true})
		return
	}
	d.append(node{kind: textNode, data: tok.data})
}

func (d *Document) append(n node) int32 {
	at := int32(len(d.nodes))
	n.parent, n.end = d.open[len(d.open)-1], at+1
	d.nodes = append(d.nodes, n)
	return at
}

func (d *Document) close() {
	element := d.open[len(d.open)-1]
	d.nodes[element].end = int32(len(d.nodes))
	d.open = d.open[:len(d.open)-1]
}

func attributeKind(name []byte) nodeKind {
	if isNamespaceDeclaration(string(name)) {
		return namespaceNode
	}
	return attributeNode
}

func isNamespaceDeclaration(name string) bool {
	return name == "xmlns" || len(name) > 6 && name[:6] == "xmlns:"
}

// name is the name as written, with its prefix.
func (d *Document) name(n int32) []byte { return d.nodes[n].name.of(d.body) }

// text is the string-value of a node, by XPath 1.0, 5.
func (d *Document) text(n int32) string {
	switch n := &d.nodes[n]; n.kind {
	case rootNode, elementNode:
	case attributeNode, namespaceNode:
		return decode(n.data.of(d.body), true)
	case commentNode, instructionNode:
		return string(appendLines(nil, n.data.of(d.body)))
	case textNode:
		return d.textOf(n)
	}
	only, several := int32(0), false
	for i := n + 1; i < d.nodes[n].end; i++ {
		if d.nodes[i].kind == textNode {
			several = only != 0
			only = i
			if several {
				break
			}
		}
	}
	switch {
	case only == 0:
		return ""
	case !several:
		return d.textOf(&d.nodes[only])
	}
	return d.joinedText(n)
}

func (d *Document) textOf(n *node) string {
	raw := n.data.of(d.body)
	if n.pieces {
		return string(appendContent(nil, raw))
	}
	return decode(raw, false)
}

func (d *Document) joinedText(n int32) string {
	var out []byte
	for i := n + 1; i < d.nodes[n].end; i++ {
		if d.nodes[i].kind == textNode {
			out = appendContent(out, d.nodes[i].data.of(d.body))
		}
	}
	return string(out)
}

// next is the next sibling of n, or -1.
func (d *Document) next(n int32) int32 {
	parent := d.nodes[n].parent
	if end := d.nodes[n].end; parent >= 0 && end < d.nodes[parent].end {
		return end
	}
	return -1
}

// firstChild is the first child of n, or -1; attributes are no children.
func (d *Document) firstChild(n int32) int32 {
	i := n + 1
	for i < d.nodes[n].end && d.isAttribute(i) {
		i++
	}
	if i < d.nodes[n].end {
		return i
	}
	return -1
}

// isAttribute tells attributes and namespace declarations.
func (d *Document) isAttribute(n int32) bool {
	kind := d.nodes[n].kind
	return kind == attributeNode || kind == namespaceNode
}
