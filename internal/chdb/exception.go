package chdb

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// unknownException is ClickHouse's code for an error that has none.
const unknownException = 1002

// maxExceptionText bounds the text of an exception inside a result: the driver looks at the last
// 16 KiB only.
const maxExceptionText = 8 << 10

var exceptionCode = regexp.MustCompile(`^Code: (\d{1,9})\.`)

// exception is an error that the engine reported.
type exception struct {
	code    int
	message string // as ClickHouse words it: Code: 60. DB::Exception: …
}

func (e *exception) Error() string { return e.message }

// newException parses what the engine says of a failed statement.
func newException(message string) *exception {
	message = strings.TrimSpace(message)
	if match := exceptionCode.FindStringSubmatch(message); match != nil {
		if code, err := strconv.Atoi(match[1]); err == nil && code > 0 {
			return &exception{code: code, message: message}
		}
	}
	return &exception{code: unknownException, message: fmt.Sprintf("Code: %d. DB::Exception: %s (UNKNOWN_EXCEPTION)", unknownException, message)}
}

// framed returns the exception as ClickHouse writes it behind rows it has already delivered
// (WriteBufferFromHTTPServerResponse): between markers, with a tag and its length. The driver
// notices it by failing to read it as rows and takes what follows that place for a repetition;
// padding moves the place before the text, so that the text comes out whole and once.
func (e *exception) framed() []byte {
	text := e.message
	if len(text) > maxExceptionText {
		text = strings.ToValidUTF8(text[:maxExceptionText], "")
	}
	tag := strings.ToLower(rand.Text()[:16])
	return fmt.Appendf(nil, "\r\n__exception__\r\n%s\r\n%128s%s\n%d %[1]s\r\n__exception__\r\n", tag, "", text, len(text)+129)
}
