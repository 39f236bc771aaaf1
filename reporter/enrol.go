package reporter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/enrolment/request"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// A Desk is where an installation asks its aggregator to be enrolled.
type Desk struct {
	home   Home
	config *Config
	api    *api.Client
	logKey note.Verifier
}

// NewDesk reaches the aggregator of an installation, and pins its log's key on
// first contact.
func (h Home) NewDesk(ctx context.Context) (*Desk, error) {
	config, err := h.Config()
	if err != nil {
		return nil, err
	}
	if config.Keyless() {
		_, err := h.Signer(config) // which says why there is none
		return nil, err
	}
	d := &Desk{home: h, config: config}
	if d.api, err = api.Dial(config.Aggregator, requestTimeout); err != nil {
		return nil, err
	}
	if d.logKey, err = h.pinnedLogKey(ctx, d.api); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Close lets go of the connection.
func (d *Desk) Close() { d.api.Close() }

// pinnedLogKey returns the pinned key of the aggregator's log; on first contact
// it pins the one that the aggregator names.
func (h Home) pinnedLogKey(ctx context.Context, client *api.Client) (note.Verifier, error) {
	key, err := h.LogKey()
	if err != nil || key != nil {
		return key, err
	}
	text, err := client.LogKey(ctx)
	if err != nil {
		return nil, err
	}
	return h.PinLogKey(text)
}

// Asking is what a volunteer says of themselves. It is published with the
// enrolment, and can be erased.
type Asking struct {
	Operator string // wanted name; empty: the one of the configuration
	Contact  string
}

// Statement returns what has to be signed to ask.
func (d *Desk) Statement(a Asking) (payload []byte, err error) {
	signer, err := d.home.Signer(d.config)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, signer.Close()) }()
	return d.asks(signer.Public(), a).Encode()
}

func (d *Desk) asks(key *signing.PublicKey, a Asking) *request.Request {
	if a.Operator == "" {
		a.Operator = d.config.Operator
	}
	return &request.Request{
		Origin: d.logKey.Name(), PublicKey: key, Operator: a.Operator, Contact: a.Contact,
		Created: time.Now().UTC().Truncate(time.Second),
	}
}

// Ask asks for the builder to be enrolled.
func (d *Desk) Ask(ctx context.Context, a Asking) (*api.Enrolment, error) {
	payload, err := d.Statement(a)
	if err != nil {
		return nil, err
	}
	return d.askWith(ctx, payload, nil)
}

// AskAs asks for the builder to be enrolled as the Sigstore identity that signed
// the statement of [Desk.Statement]; bundle is what came of that.
func (d *Desk) AskAs(ctx context.Context, bundle []byte) (*api.Enrolment, error) {
	var signed struct {
		Envelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(bundle, &signed); err != nil {
		return nil, fmt.Errorf("reading the identity's bundle: %w", err)
	}
	payload := signed.Envelope.Payload
	asked, err := request.Parse(payload)
	if err != nil {
		return nil, fmt.Errorf("reading the identity's bundle: %w", err)
	}
	if id := asked.PublicKey.Builder(); id != d.config.Builder {
		return nil, fmt.Errorf("the identity signed a request of builder %s, this is %s: sign what 'enrol --statement' prints here", id, d.config.Builder)
	}
	return d.askWith(ctx, payload, bundle)
}

func (d *Desk) askWith(ctx context.Context, payload, identity []byte) (answer *api.Enrolment, err error) {
	signer, err := d.home.Signer(d.config)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, signer.Close()) }()
	bundle, err := signer.SignPayload(ctx, payload)
	if err != nil {
		return nil, err
	}
	return d.send(ctx, &request.Document{Request: bundle, Identity: identity}, d.config.Builder)
}

// send sends a request and returns the answer, with its receipt verified if the
// builder is enrolled.
func (d *Desk) send(ctx context.Context, document *request.Document, builder signing.BuilderID) (*api.Enrolment, error) {
	text, err := document.Encode()
	if err != nil {
		return nil, err
	}
	return d.checked(builder)(d.api.Enrol(ctx, text))
}

// State asks what became of the builder's request.
func (d *Desk) State(ctx context.Context) (*api.Enrolment, error) {
	return d.stateOf(ctx, d.config.Builder)
}

func (d *Desk) stateOf(ctx context.Context, builder signing.BuilderID) (*api.Enrolment, error) {
	return d.checked(builder)(d.api.Enrolment(ctx, builder))
}

// checked lets an answer about a builder through, with its receipt verified if the
// builder is enrolled. Of a problem, the aggregator's own words are the error.
func (d *Desk) checked(builder signing.BuilderID) func(*api.Enrolment, error) (*api.Enrolment, error) {
	return func(answer *api.Enrolment, err error) (*api.Enrolment, error) {
		if problem, ok := errors.AsType[*api.Problem](err); ok {
			return nil, problem
		}
		if err != nil || answer.State != api.Enrolled {
			return answer, err
		}
		return answer, d.checkReceipt(answer.Receipt, builder)
	}
}

// checkReceipt reports a receipt that does not prove the builder's enrolment.
func (d *Desk) checkReceipt(receipt *ledger.Receipt, builder signing.BuilderID) error {
	if receipt == nil {
		return errors.New("the aggregator says that the builder is enrolled, and gives no receipt")
	}
	entry, err := receipt.Verify(d.logKey)
	if err != nil {
		return err
	}
	var enrolled struct {
		Builder signing.BuilderID `json:"builder"`
	}
	if entry.Kind != ledger.Enrolment || json.Unmarshal(entry.Body, &enrolled) != nil || enrolled.Builder != builder {
		return fmt.Errorf("the receipt for ledger index %d does not show that builder %s is enrolled", receipt.Index, builder)
	}
	return nil
}
