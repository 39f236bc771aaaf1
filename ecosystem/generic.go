package ecosystem

import (
	"errors"
	"strings"
)

// A generic build is named "<operator>/<name>" by the operator who defines it, so
// that two operators cannot mean different things by one name.
var genericRules = rules{
	build: func(name string) error {
		if err := commonBuild(name); err != nil {
			return err
		}
		return checkOwner(name)
	},
	file: func(key string) error {
		if err := commonFile(key); err != nil {
			return err
		}
		return checkOwner(key)
	},
}

func checkOwner(name string) error {
	const maxOperator = 40
	operator, _, found := strings.Cut(name, "/")
	ok := found && operator != "" && len(operator) <= maxOperator && operator[0] != '-'
	for _, r := range operator {
		ok = ok && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-')
	}
	if !ok {
		return errors.New("a generic name begins with the operator that defines it: <operator>/<name>")
	}
	return nil
}
