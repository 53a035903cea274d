"""What services say in fixed words and pages show: listed here, so that the catalogues have it.

What holds a number or a name is shown as it was said, in English.
"""


def _(text: str) -> str:
    return text


SAID = (
    _("Nobody can sign up here. Ask the operator for an account."),
    _("Signing up needs an invite here. Ask the operator for one."),
    _("There is an account with this e-mail address. Sign in, or reset its password."),
    _("The invite isn't valid: it was used, withdrawn, has expired, or is for another address."),
    _("The e-mail address or the password is wrong."),
    _("The password has just been changed. Sign in with the new one."),
    _("This account is disabled. Ask the operator."),
    _("The link isn't valid: it was used or has expired. Ask for another."),
    _("The session has ended. Sign in again."),
    _("The current password is wrong."),
    _("The password has just been changed."),
    _("This account has no password: it has keys only."),
    _("This form is of another session. Go back, load the page again, and send it once more."),
    _("Another site sent this request. Open it from this service's own pages, or use an API key."),
    _("This page is for administrators."),
    _(
        "This is the last administrator's account. Make somebody else an administrator first (`mien accounts "
        "create --administrator`)."
    ),
    _("This account was deleted, which can't be undone."),
    _("There is no such key: its id is wrong, or it was revoked."),
    _("There is no such invite: it was used or withdrawn."),
    _("There is no such account. Check its id."),
    _("There is no such order. Check its id and the key."),
    _("This order is paid, so it can't be canceled. Take its credits back with a refund."),
    _("Nobody waits for this link: it was used or has expired."),
    _("This delivery is still under way. Ask for it again once it has ended."),
    _("This webhook is disabled. Enable it first."),
    _("No credits are sold here. If you need some, ask who runs this service."),
    _("There is no such face on the list, or the secret is wrong."),
    _("You would lock yourself out: disable your own account with `mien accounts disable`."),
    _("Nobody can sign up here, with or without an invite. Set MIEN_SIGNUP=invite first."),
    _("The last day must be a date such as 2027-12-31."),
    _("Give the account a name."),
    _("Choose a picture first."),
    _("Too many pictures wait to be looked at. Try again in a moment."),
    _("Looking at the picture took too long. Send a smaller one, or try again later."),
    _("Results aren't kept for so long here."),
    _("You disabled it."),
    _("It answered 410 Gone."),
    _("Starting credits"),
    _("Granted by an administrator"),
    _("You canceled the task."),
)
