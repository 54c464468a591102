"""Secrets out of what a transcript says, before it is stored.

The forms of most tokens are those of `detect-secrets`; what it does not know, or knows only by its
first line, is below, as the vendors document it. A rule is tried only where one of its words is,
so that long texts cost little.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any, Final, NamedTuple

KNOWN: Final = {
    "artifactory.ArtifactoryDetector": ("AKC", "AP"),
    "aws.AWSKeyDetector": ("AKIA", "ASIA", "ABIA", "ACCA", "A3T", "AWS", "aws"),
    "azure_storage_key.AzureStorageKeyDetector": ("AccountKey=",),
    "discord.DiscordBotTokenDetector": ("M", "N", "O"),
    "mailchimp.MailchimpDetector": ("-us",),
    "openai.OpenAIDetector": ("T3BlbkFJ",),
    "pypi_token.PypiTokenDetector": ("pypi-",),
    "sendgrid.SendGridDetector": ("SG.",),
    "slack.SlackDetector": ("xox", "hooks.slack.com"),
    "square_oauth.SquareOAuthDetector": ("sq0csp",),
    "stripe.StripeDetector": ("k_live_",),
    "telegram_token.TelegramBotTokenDetector": (":",),
    "twilio.TwilioKeyDetector": ("AC", "SK"),
}
"""Which of its detectors are used, and the words without which each finds nothing.

Not the one that guesses by entropy, since ordinary text has hashes and ids; not the one for
addresses, which are no secret; nor those for which the rules below do more.
"""
PEM: Final = "[A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----"
OWN: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "private-key": (
        ("PRIVATE KEY",),
        rf"(?s)-----BEGIN {PEM}.*?(?:-----END {PEM}|\Z)",
    ),
    "age-key": (("AGE-SECRET-KEY-",), r"AGE-SECRET-KEY-1[0-9A-Z]{50,}"),
    "anthropic-key": (("sk-ant-",), r"\bsk-ant-[\w-]{20,}"),
    "atlassian-token": (("ATATT3", "ATCTT3"), r"\bAT[AC]TT3[\w=-]{50,}"),
    "aws-key-pair": (
        ("AKIA", "ASIA"),
        r"\bA(?:KIA|SIA)[A-Z0-9]{16}[\s\"',:;/|]{1,20}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
    ),
    "azure-client-secret": (("Q~",), r"(?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{31,34}(?![\w~.-])"),
    "azure-signature": (("sig=",), r"(?<=[?&;]sig=)[\w%+/=-]{30,}"),
    "databricks-token": (("dapi",), r"\bdapi[a-f0-9]{32}\b"),
    "digitalocean-token": (("_v1_",), r"\bdo[opr]_v1_[a-f0-9]{64}\b"),
    "github-token": (("github_pat_", "gh"), r"\b(?:github_pat_\w{22,}|gh[pousr]_[A-Za-z0-9]{36,})"),
    "gitlab-token": (
        ("gl", "GR1348941"),
        r"\b(?:gl[a-z]{2,6}-|GR1348941)[\w-]{20,}(?:\.[a-z0-9]{2}\.[a-z0-9]{9})?",
    ),
    "google-key": (("AIza",), r"\bAIza[\w-]{35}"),
    "google-oauth": (("GOCSPX-", "ya29."), r"\b(?:GOCSPX-|ya29\.)[\w-]{20,}"),
    "groq-key": (("gsk_",), r"\bgsk_[A-Za-z0-9]{40,}"),
    "huggingface-token": (("hf_",), r"\bhf_[A-Za-z0-9]{30,}"),
    "json-web-token": (("eyJ",), r"\beyJ[\w-]{10,}=*\.[\w-]{4,}=*(?:\.[\w-]*)*"),
    "linear-key": (("lin_api_",), r"\blin_api_[A-Za-z0-9]{30,}"),
    "npm-token": (("npm_",), r"\bnpm_[A-Za-z0-9]{36}"),
    "openai-key": (("sk-",), r"\bsk-(?:(?:proj|svcacct|admin)-[\w-]{20,}|[A-Za-z0-9]{32,})"),
    "pypi-token": (("pypi-",), r"\bpypi-[\w-]{50,}"),
    "shopify-token": (("shp",), r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    "slack-token": (("xox", "xapp-"), r"\b(?:xox[a-z]|xapp)-[\w-]{15,}"),
    "stripe-key": (
        ("k_live_", "k_test_", "whsec_"),
        r"\b(?:[rs]k_(?:live|test)|whsec)_[A-Za-z0-9+/]{16,}=*",
    ),
    "vault-token": (("hvs.", "hvb."), r"\bhv[sb]\.[\w-]{20,}"),
}
"""By the name of what is found: words without which there is none, and its form."""

WORDS: Final = r"passw(?:or)?d|passphrase|passwd|pwd|_pass|pgpass"
NAMES: Final = (
    r"secret|token|api[_.-]?key|access[_.-]?key|account[_.-]?key|private[_.-]?key|auth[_.-]?key"
    r"|encryption[_.-]?key|signing[_.-]?key|storage[_.-]?key|app[_.-]?key|credential"
    r"|(?<=[\"'_])auth(?=[\"'=])"
)
"""Of tokens: what a password is called tells more than these do."""
TELLING: Final = (
    *("passw", "passphrase", "pwd", "_pass", "pgpass", "secret", "token", "key", "credential"),
    *("://", "bearer", "basic", "-u", "auth", "identified by", "sshpass"),
)
"""Words without which a line has no secret that only its surroundings tell."""
OPEN: Final = r"\\?[\"'`]"
"""A quotation mark, of a text within a text, too."""
NAMED: Final = rf"\w{{0,40}}{OPEN}?\]?\s{{0,5}}(?:=>|:=|==?|:)\s{{0,5}}"
"""What stands between a name and its value."""

URL: Final = (
    r"(?P<kept>\b[a-z][a-z\d+.-]{1,30}://[^\s:/@'\"<>`]{0,200}:)"
    r"(?P<secret>[^\s/'\"<>`]{1,300})(?=@)"
)
HEADER: Final = (
    r"(?i)(?P<kept>\b(?:bearer|basic|token)\s{1,3})"
    r"(?P<secret>(?=[\w.~+/-]{0,60}\d)[\w.~+/-]{16,}=*)"
)
QUOTED: Final = (
    rf"(?i)(?P<kept>(?:(?P<word>{WORDS})|{NAMES}){NAMED}[a-z@]?{OPEN})"
    r"(?P<secret>[^\s\"'`\\]{4,500})(?=\\?[\"'`])"
)
ASSIGNED: Final = (
    rf"(?P<kept>(?:(?P<word>(?i:{WORDS}))|(?i:{NAMES}))\w{{0,40}}(?:=|:\s{{0,3}}|\s=\s))"
    r"(?P<secret>[^\s\"'`;,&|<>()\[\]{}]{4,500})(?![(\[])"
)
FLAG: Final = (
    rf"(?i)(?P<kept>--?[\w-]{{0,30}}(?:(?P<word>{WORDS})|{NAMES})[\w-]{{0,20}}\s{{1,3}}{OPEN}?)"
    r"(?P<secret>[^\s\"'`]{4,500})"
)
USER: Final = (
    r"(?P<kept>\s(?:-u|--user)\s{0,3}['\"]?(?:\[redacted: [\w-]{1,40}\]|[\w.@-]{1,100}):)"
    r"(?P<secret>[^\s'\"]{4,300})"
)
GIVEN: Final = (
    r"(?i)(?P<kept>\b(?:identified\sby|(?:with|encrypted)\spassword)\s{1,3}'"
    r"|\bsshpass\s{1,3}-p\s{0,3}['\"]?|<[\w.-]{0,30}passw(?:or)?d>)(?P<secret>[^\s'\"<]{4,300})"
)
SPOKEN: Final = (
    rf"(?i)(?P<kept>(?:(?P<word>{WORDS})|{NAMES}|api key|access key)(?:\s(?:\w+\s){{0,4}}?"
    rf"(?:is|was|are|to|:):?|:)\s{{1,3}}{OPEN}?)(?P<secret>[^\s\"'`]{{6,500}})"
)
CONTEXTS: Final = (URL, HEADER, QUOTED, ASSIGNED, FLAG, USER, GIVEN, SPOKEN)
LOOSER: Final = (URL, HEADER, USER, GIVEN)
"""Those in which a secret may look like anything."""

PLACEHOLDER: Final = (
    r"(?i)[$%<{(\[*.…]|x+$|(?:your|my|the|some|an?|new|old|user|example|test|dummy|fake|sample)?[_-]?"
    r"(?:passw(?:or)?d|pwd|pass|secret|token|key|value|string|changeme|none|null|true|false|str|redacted"
    r"|required|optional|default|placeholder|self|os\.|process\.|env\.)\b"
)
"""How a value begins that stands for another."""
CODE: Final = r"[A-Za-z_][\w.]*(?:\(.*|\[.*)?[),;:]*"
"""A name or a call in a program, which says where a secret comes from."""
LONG: Final = 12
"""Characters that a token has at least, where nothing but its name tells that it is one."""


Hide = Callable[[re.Match[str]], str]


class Rule(NamedTuple):
    name: str
    words: tuple[str, ...]
    pattern: re.Pattern[str]


@cache
def rules() -> tuple[Rule, ...]:
    """List the rules whose form alone tells a secret; what is needed for them is loaded here."""
    own = [Rule(name, words, re.compile(form)) for name, (words, form) in OWN.items()]
    return (*own, *borrowed())


def borrowed() -> Iterator[Rule]:
    """Take the forms of the library's detectors, without what it would look up on the network."""
    for path, words in KNOWN.items():
        module, _, name = path.partition(".")
        detector: Any = getattr(import_module(f"detect_secrets.plugins.{module}"), name)
        slug = re.sub(r"[^a-z0-9]+", "-", detector.secret_type.lower()).strip("-")
        for pattern in detector.denylist:
            yield Rule(slug, words, pattern)


def redact(text: str) -> str:
    """Replace every secret by what it was: `[redacted: stripe-key]`."""
    for rule in rules():
        if any(word in text for word in rule.words):
            text = rule.pattern.sub(f"[redacted: {rule.name}]", text)
    return "\n".join(told(line) for line in text.split("\n"))


def told(line: str) -> str:
    """Redact what the surroundings tell to be a secret, in one line."""
    lowered = line.lower()
    if any(word in lowered for word in TELLING):
        for pattern, hide in contexts():
            line = pattern.sub(hide, line)
    return line


@cache
def contexts() -> list[tuple[re.Pattern[str], Hide]]:
    """Compile them, which takes long, when the first text comes."""
    return [(re.compile(form), hider(form)) for form in CONTEXTS]


def hider(form: str) -> Hide:
    """Make what replaces a secret in its surroundings, unless it is none."""
    looser = form in LOOSER

    def hide(match: re.Match[str]) -> str:
        secret = match["secret"]
        password = looser or bool(match["word"])
        if re.match(PLACEHOLDER, secret) or not (looser or telling(form, secret, password)):
            return match[0]
        return f"{match['kept']}[redacted: {'password' if password else 'token'}]"

    return hide


def telling(form: str, secret: str, password: bool) -> bool:
    """Tell a secret from a word, a name in a program, or a path."""
    mixed = bool(re.search(r"\d", secret) and re.search(r"[A-Za-z]", secret))
    if not password:
        return mixed and len(secret) >= LONG and "/" not in secret[:2] and "://" not in secret
    if form == QUOTED:
        return not re.fullmatch(r"[a-z_. -]+:?", secret) or len(secret) >= LONG
    if form == ASSIGNED and re.fullmatch(CODE, secret):
        return mixed and "(" not in secret and "." not in secret
    return mixed or bool(re.search(r"[^\w.,;:()\[\]/-]", secret))
