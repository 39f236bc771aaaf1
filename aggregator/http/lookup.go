package http

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"repronet.dev/aggregator/fair"
	"repronet.dev/api"
)

// ofKeys are the bounds of a request to look keys up.
var ofKeys = bounds{api.MaxLookupSize, "look-ups", "keys"}

// lookupRate is how many keys an address may look up: ten full requests at once, and as many
// in a minute from then on. A place and half of a second of the engine are what one takes.
var lookupRate = fair.Rate{PerSecond: 10 * api.MaxLookupKeys / 60.0, Burst: 10 * api.MaxLookupKeys}

// lookUp answers what is known under each of many keys. The body is there before a place is
// taken: how slowly it comes keeps no one waiting.
func (s *Server) lookUp(c *gin.Context) {
	media, err := checkMedia(c, "application/json (an array of keys) or "+api.TextType+" (a key on each line)", "application/json", api.TextType)
	if err != nil {
		turnAway(c)
		s.fail(c, err)
		return
	}
	body, held, err := s.readBody(c, s.networks.Of(c.Request.RemoteAddr), ofKeys)
	if err != nil {
		s.fail(c, err)
		return
	}
	defer held.release()
	keys, err := readKeys(media, body)
	if err == nil {
		err = s.chargeKeys(c, len(keys))
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.inPlace(c, func() {
		answer, err := s.answerKeys(c, keys)
		switch {
		case err != nil:
			s.fail(c, err)
		case media == api.TextType:
			c.Header(api.IndexedHeader, strconv.FormatUint(answer.Indexed, 10))
			c.Data(http.StatusOK, api.LinesType, linesOf(answer.Keys))
		default:
			writeJSON(c, http.StatusOK, answer)
		}
	})
}

// chargeKeys has an address's keys counted, and says how many it may look up yet.
func (s *Server) chargeKeys(c *gin.Context, n int) error {
	left, ok := s.lookups.Take(c.Request.RemoteAddr, max(n, 1))
	limitHeaders(c, "keys", left)
	if ok {
		return nil
	}
	return api.NewProblem(api.ProblemSlowDown, fmt.Sprintf("Your address has looked up too many keys: it may look up %d in a minute, and %d at once. Ask again after the time in Retry-After.", lookupRate.Burst, api.MaxLookupKeys))
}

func (s *Server) answerKeys(c *gin.Context, keys []string) (*api.Lookups, error) {
	ctx := c.Request.Context()
	watermark, err := s.parts.Source.Watermark(ctx)
	if err != nil {
		return nil, err
	}
	long := map[int]int{} // how long those are that are not looked up whole
	for i, key := range keys {
		if len(key) > api.MaxLookupKey {
			const shown = 100
			long[i], keys[i] = len(key), strings.ToValidUTF8(key[:shown], "")+"…"
		}
	}
	found, err := s.parts.Source.LookUp(ctx, keys)
	if err != nil {
		return nil, err
	}
	for i, n := range long {
		found[i] = api.Lookup{
			Key: keys[i], State: api.KeyInvalid, Reason: fmt.Sprintf("it has %d bytes, and no key has more than %d", n, api.MaxLookupKey), Outputs: []api.FoundOutput{},
		}
	}
	return &api.Lookups{Indexed: watermark.Indexed, Keys: found}, nil
}

// readKeys reads the keys of a request. They are counted before anything is made of them.
func readKeys(media string, body []byte) ([]string, error) {
	if media == api.TextType {
		body = bytes.TrimSuffix(body, []byte("\n"))
		if n := bytes.Count(body, []byte("\n")) + 1; n > api.MaxLookupKeys {
			return nil, tooManyKeys(n)
		}
		return strings.Split(string(body), "\n"), nil
	}
	keys, err := keysOfArray(body)
	if _, ours := errors.AsType[*api.Problem](err); err != nil && !ours {
		err = api.NewProblem(api.ProblemMalformed, fmt.Sprintf("The body is not a JSON array of strings, a key each: %v.", err))
	}
	return keys, err
}

func keysOfArray(body []byte) (keys []string, err error) {
	decoder := jsontext.NewDecoder(bytes.NewReader(body))
	if begin, err := decoder.ReadToken(); err != nil || begin.Kind() != '[' {
		return nil, orWant(err, "it does not begin with [")
	}
	for decoder.PeekKind() != ']' {
		if len(keys) == api.MaxLookupKeys {
			return nil, tooManyKeys(len(keys) + 1)
		}
		key, err := decoder.ReadToken()
		if err != nil || key.Kind() != '"' {
			return nil, orWant(err, fmt.Sprintf("element %d is not a string", len(keys)))
		}
		keys = append(keys, key.String())
	}
	if _, err := decoder.ReadToken(); err != nil {
		return nil, err
	}
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, orWant(err, "something follows the array")
	}
	return keys, nil
}

func orWant(err error, what string) error {
	if err != nil {
		return err
	}
	return errors.New(what)
}

func tooManyKeys(n int) error {
	return api.NewProblem(api.ProblemTooLarge, fmt.Sprintf("%d keys or more in one request, at most %d are looked up: send them in several.", n, api.MaxLookupKeys))
}

func linesOf[T any](rows []T) []byte {
	var text bytes.Buffer
	for _, row := range rows {
		line, err := json.Marshal(row, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
		if err != nil {
			panic(fmt.Errorf("writing %T: %w", row, err)) // none of these documents can fail
		}
		text.Write(append(line, '\n'))
	}
	return text.Bytes()
}
