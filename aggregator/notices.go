package aggregator

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"repronet.dev/aggregator/admin"
	"repronet.dev/aggregator/notify"
	"repronet.dev/aggregator/query"
	"repronet.dev/aggregator/schedule"
)

// Notify says how subscribers are told of changes.
type Notify struct {
	// AllowPrivate lets webhooks be on private networks: of an intranet whose operator
	// believes whoever can add a subscription.
	AllowPrivate bool `yaml:"allow_private"`
	// Digest is when daily mails and webhooks are made, in UTC, as robfig/cron reads it.
	Digest string `yaml:"digest"`
	// SMTP is the server that mail is given to.
	SMTP SMTP `yaml:"smtp"`
}

// SMTP is a mail server.
type SMTP struct {
	// Host is its name; empty: no mail is sent.
	Host string `yaml:"host"`
	Port int    `yaml:"port"` // 0: that of the encryption, see [notify.Encryption]
	// Encryption is "starttls", "tls" or "none".
	Encryption string `yaml:"encryption"`
	// User is who signs in, with what the file at the path PasswordFile has in its first
	// line; empty: nobody does.
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	// From is the address that mails are from.
	From string `yaml:"from"`
}

// validateNotify reports what of the settings of notices cannot work.
func (c *Config) validateNotify() error {
	if err := schedule.Check(c.Notify.Digest); err != nil {
		return wrong("notify.digest", "%v: want minute, hour, day, month and weekday, such as %q", err, notify.DefaultDigest)
	}
	smtp := &c.Notify.SMTP
	if smtp.Host == "" {
		if smtp.From != "" || smtp.User != "" || smtp.PasswordFile != "" || smtp.Port != 0 {
			return wrong("notify.smtp.host", "name the mail server for which the others of notify.smtp are")
		}
		return nil
	}
	if err := notify.CheckAddress(smtp.From); err != nil {
		return wrong("notify.smtp.from", "%v", err)
	}
	switch notify.Encryption(smtp.Encryption) {
	case notify.STARTTLS, notify.TLS, notify.Unencrypted:
	default:
		return wrong("notify.smtp.encryption", "%.20q is neither starttls, tls nor none", smtp.Encryption)
	}
	switch {
	case smtp.Port < 0 || smtp.Port > 65535:
		return wrong("notify.smtp.port", "%d is not a port", smtp.Port)
	case (smtp.User == "") != (smtp.PasswordFile == ""):
		return wrong("notify.smtp.password_file", "want user and password_file, or neither")
	case smtp.User != "" && notify.Encryption(smtp.Encryption) == notify.Unencrypted:
		return wrong("notify.smtp.encryption", "a password is not sent without encryption: want starttls or tls")
	case c.URL == "":
		return wrong("url", "mails have links to confirm and to end them: say at which address the server is reached")
	}
	return nil
}

// openNotifier prepares who is told of changes. The state is open.
func (a *Aggregator) openNotifier(ctx context.Context) error {
	if err := a.state.WithinLedger(ctx, a.log.Size()); err != nil {
		return err
	}
	mail, err := a.config.Notify.SMTP.mail()
	if err != nil {
		return err
	}
	a.notifier = notify.New(notify.Config{
		URL: a.config.URL, Mail: mail, AllowPrivate: a.config.Notify.AllowPrivate, Digest: a.config.Notify.Digest,
		Size: a.log.Size, HasSet: a.hasSet, Logger: a.deps.Logger, Registry: a.deps.Registry,
	}, a.state)
	return nil
}

func (s *SMTP) mail() (*notify.Mail, error) {
	if s.Host == "" {
		return nil, nil //nolint:nilnil // without a server there is no mail
	}
	m := &notify.Mail{Host: s.Host, Port: s.Port, User: s.User, Encryption: notify.Encryption(s.Encryption), From: s.From}
	if m.Port == 0 {
		m.Port = m.Encryption.Port()
	}
	if s.PasswordFile != "" {
		text, err := os.ReadFile(s.PasswordFile)
		if err != nil {
			return nil, wrong("notify.smtp.password_file", "reading it: %v", err)
		}
		m.Password, _, _ = strings.Cut(string(text), "\n")
		m.Password = strings.TrimSuffix(m.Password, "\r")
	}
	return m, nil
}

func (a *Aggregator) hasSet(ctx context.Context, name string) (bool, error) {
	sets, err := a.newestSets(ctx)
	_, known := sets[name]
	return known, err
}

// noticeJobs are those by which subscribers are told.
func (a *Aggregator) noticeJobs(source *query.Query) []schedule.Job {
	return []schedule.Job{
		// It reads the ledger indices of all changes: with millions of them it takes a tenth of the time, and no more.
		{Name: "notices", Schedule: "@every 2s", Timeout: 5 * time.Minute, Rest: 9, Run: func(ctx context.Context) error {
			if a.keeper.answers() != nil {
				return nil // which is told elsewhere; what changes meanwhile is told after it
			}
			watermark, err := source.Watermark(ctx)
			if err != nil {
				return fmt.Errorf("asking how far the index is: %w", err)
			}
			return a.notifier.Look(ctx, source, watermark.Indexed)
		}},
		{Name: "subscriptions", Schedule: "@every 10m", Timeout: time.Minute, Run: a.notifier.LookAfter},
	}
}

func (a administration) subscriptions(ctx context.Context, _ admin.None) ([]admin.Subscription, error) {
	return a.notifier.Subscriptions(ctx)
}

func (a administration) unsubscribe(ctx context.Context, of admin.SubscriptionName) (admin.Subscription, error) {
	return a.notifier.Unsubscribe(ctx, of.ID)
}

func (a administration) testSubscription(ctx context.Context, of admin.SubscriptionName) (admin.Tested, error) {
	return a.notifier.Test(ctx, of.ID)
}
