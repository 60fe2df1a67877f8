package pairing

import (
	"strings"
	"testing"
)

func TestCode(t *testing.T) {
	code := Code{"17e58", "204617"}
	s := code.String()
	for _, typed := range []string{s, " " + strings.ToUpper(s) + "\n", strings.ReplaceAll(s, "-", " "), strings.ReplaceAll(s, "-", "")} {
		if got, err := ParseCode(typed); err != nil || got != code {
			t.Errorf("%q: %v, %v", typed, got, err)
		}
	}
	// Without a token, the secret alone.
	alone := Code{"", "204617"}
	if got, err := ParseCode(alone.String()); err != nil || got != alone {
		t.Error(got, err)
	}
	// A token of digits only is still told apart from the secret and its check digit, which are the last seven.
	digits := Code{"12345", "204617"}
	if got, err := ParseCode(digits.String()); err != nil || got != digits {
		t.Error(got, err)
	}
	for _, typed := range []string{"", " ", "17e58", "17e58-204", "204-617", "g7e58-204-6173", "17e5-204-6173", "17e58-204-617a",
		"12345678901234567-204-6173", "17e58-204-6173-1"} {
		if got, err := ParseCode(typed); err == nil {
			t.Errorf("%q: %v", typed, got)
		}
	}
}

// Every wrong digit and every swap of neighbours is detected.
func TestCheckDigit(t *testing.T) {
	if got := checkDigit("572"); got != '4' { // Damm's own example
		t.Errorf("572 has %c", got)
	}
	for range 2000 {
		secret, err := NewSecret()
		if err != nil {
			t.Fatal(err)
		}
		if len(secret) != secretDigits {
			t.Fatalf("%q", secret)
		}
		whole := secret + string(checkDigit(secret))
		for i := range whole {
			for d := byte('0'); d <= '9'; d++ {
				wrong := whole[:i] + string(d) + whole[i+1:]
				if _, err := ParseCode(wrong); (err == nil) != (wrong == whole) {
					t.Fatalf("%s as %s: %v", whole, wrong, err)
				}
			}
			if i > 0 && whole[i-1] != whole[i] {
				wrong := whole[:i-1] + string(whole[i]) + string(whole[i-1]) + whole[i+1:]
				if _, err := ParseCode(wrong); err == nil {
					t.Fatalf("%s as %s", whole, wrong)
				}
			}
		}
	}
}

func FuzzCode(f *testing.F) {
	f.Add("17e58-204-6173")
	f.Add("204 6173")
	f.Fuzz(func(t *testing.T, typed string) {
		c, err := ParseCode(typed)
		if err != nil {
			return
		}
		if again, err := ParseCode(c.String()); err != nil || again != c {
			t.Errorf("%q: %v, then %v (%v)", typed, c, again, err)
		}
	})
}

func FuzzSecret(f *testing.F) {
	f.Add("a:" + strings.Repeat("0f", 32))
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSecret(text)
		if err == nil && !strings.EqualFold(s.String(), text) {
			t.Errorf("%q became %q", text, s)
		}
	})
}
