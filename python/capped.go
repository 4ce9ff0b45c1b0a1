package python

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// capped keeps the head and the tail of a stream of text. The worker cuts by
// itself; this is for one that does not.
type capped struct {
	limit int // bytes kept; negative = all
	head  strings.Builder
	tail  []byte
	cut   int // bytes dropped between them
}

// capSlack is room for the note with which the worker marks its own cut.
const capSlack = 512

func newCapped(limit int) *capped {
	if limit >= 0 {
		limit += capSlack
	}
	return &capped{limit: limit}
}

// write takes s and returns the part that a reader of the stream still sees
// as it comes; the rest is kept for the tail.
func (c *capped) write(s string) (shown string) {
	if c.limit < 0 {
		c.head.WriteString(s)
		return s
	}
	room := c.limit - c.head.Len()
	if len(c.tail) == 0 && c.cut == 0 && len(s) <= room {
		c.head.WriteString(s)
		return s
	}
	if len(c.tail) == 0 && c.cut == 0 {
		n := max(room, 0)
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		shown, s = s[:n], s[n:]
		c.head.WriteString(shown)
	}
	c.tail = append(c.tail, s...)
	if over := len(c.tail) - c.limit/2; over > 0 {
		for over < len(c.tail) && !utf8.RuneStart(c.tail[over]) {
			over++
		}
		c.cut += over
		c.tail = append(c.tail[:0], c.tail[over:]...)
	}
	return shown
}

// rest is what a reader of the stream has not seen: a note and the tail.
func (c *capped) rest() string {
	if c.cut == 0 {
		return string(c.tail)
	}
	return fmt.Sprintf("\n[%d bytes left out]\n%s", c.cut, c.tail)
}

// text is what was kept.
func (c *capped) text() string {
	if len(c.tail) == 0 && c.cut == 0 {
		return c.head.String()
	}
	return c.head.String() + c.rest()
}
