"""The API tester, from a dropped file to a downloaded result."""

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Person = Any

pytestmark = pytest.mark.browser

SAMPLES = Path(__file__).parents[2] / "src" / "mien" / "samples"
DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
  return transfer;
}"""


def jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=95)
    return file.getvalue()


def pixels(data: bytes) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float64)


def two_people() -> bytes:
    """A picture of two: the larger face on the right."""
    canvas = Image.new("RGB", (1400, 1000), "white")
    canvas.paste(Image.open(SAMPLES / "man.jpg").resize((600, 600)), (0, 400))
    canvas.paste(Image.open(SAMPLES / "woman.jpg").resize((800, 800)), (600, 100))
    return jpeg(canvas)


async def drop(person: Person, slot: str, name: str, data: bytes) -> None:
    transfer = await person.page.evaluate_handle(DROP, [name, base64.b64encode(data).decode()])
    await person.page.locator(f"[data-slot={slot}]").dispatch_event("drop", {"dataTransfer": transfer})


async def swap(person: Person) -> dict[str, Any]:
    """Send, wait for the result, and give the task as it was answered."""
    await person.page.get_by_role("button", name="Swap the face").click()
    await person.page.locator("[data-result-picture]").wait_for()
    await person.page.get_by_text("What was answered").click()
    answer: dict[str, Any] = json.loads(await person.page.locator(".raw pre").nth(1).inner_text())
    return answer


async def problem(person: Person, place: str) -> str:
    shown = person.page.locator(f"{place} > [data-problem]:visible")
    await shown.wait_for()
    return str(await shown.inner_text())


async def test_from_signing_up_over_a_key_to_a_downloaded_result(person: Person, tmp_path: Path) -> None:
    page = person.page
    await person.sign_up()
    key = await person.make_key()
    await page.get_by_role("button", name="Sign out").first.click()
    await page.wait_for_url(f"{person.address}/")
    await person.go("/try")
    await page.get_by_label("API key").fill(key)
    target = (SAMPLES / "park.jpg").read_bytes()
    await drop(person, "image", "scene.jpg", target)
    await drop(person, "face_image", "face.jpg", (SAMPLES / "woman.jpg").read_bytes())
    for slot in ("image", "face_image"):
        await page.locator(f"[data-slot={slot}] .face").wait_for()
    assert await page.locator("[data-code=curl]").inner_text() == (
        f"curl '{person.address}/api/v1/images/tools/face-swap' \\\n"
        f"  -H 'Authorization: Bearer {key}' \\\n"
        "  -F model=face-swap \\\n  -F target_index=0 \\\n  -F output_format=png \\\n"
        "  -F 'image=@\"scene.jpg\"' \\\n  -F 'face_image=@\"face.jpg\"'"
    )
    task = await swap(person)
    async with page.expect_download() as started:
        await page.get_by_role("link", name="Download").click()
    download = await started.value
    assert download.suggested_filename == "face-swap.png"
    await download.save_as(tmp_path / "result.png")
    result = (tmp_path / "result.png").read_bytes()
    assert hashlib.sha256(result).hexdigest() == task["output"]["sha256"]
    found = await page.locator("[data-slot=image] .face").evaluate("(face) => face.style.cssText")
    assert "left" in found
    changed = np.abs(pixels(result) - pixels(target)).max(axis=2)
    top, left, bottom, right = 150, 230, 620, 640  # around the face, generously
    assert changed[top + 100 : bottom - 150, left + 100 : right - 100].mean() > 8
    outside = changed.copy()
    outside[top:bottom, left:right] = 0
    assert outside.mean() < 2, "more than the face was changed"


async def test_one_of_several_faces_is_chosen_by_clicking_it(person: Person) -> None:
    page = person.page
    await person.sign_up()
    await person.go("/try")
    target = two_people()
    await drop(person, "image", "two.jpg", target)
    await page.locator("[data-slot=face_image] [data-sample=man]").click()
    faces = page.locator("[data-slot=image] .face")
    await faces.nth(1).wait_for()
    await page.locator("[data-slot=face_image] .face").wait_for()
    assert await faces.count() == 2
    assert await faces.nth(0).get_attribute("aria-pressed") == "true"
    await page.get_by_text("JPG", exact=True).click()
    await page.get_by_label("Quality").fill("90")
    await page.locator("[data-slot=face_image]").get_by_role("button", name="Change").click()
    await page.locator("[data-slot=face_image] [data-sample=woman]").click()
    await faces.nth(1).focus()
    await page.keyboard.press("Enter")
    assert await faces.nth(1).get_attribute("aria-pressed") == "true"
    assert "target_index=1" in await page.locator("[data-code=curl]").inner_text()
    task = await swap(person)
    assert (task["output"]["format"], task["credits"]["charged"]) == ("jpg", 3)
    async with httpx.AsyncClient() as client:
        data = (await client.get(task["output"]["image_url"])).content
    changed = np.abs(pixels(data) - pixels(target)).max(axis=2)
    assert changed[550:850, 200:400].mean() > 8, "the left face is another"
    assert changed[200:700, 800:1200].mean() < 4, "the right one is as it was"


async def test_pasting_the_camera_and_samples(person: Person) -> None:
    page = person.page
    await person.sign_up()
    await person.go("/try")
    data = base64.b64encode((SAMPLES / "cafe.jpg").read_bytes()).decode()
    transfer = await page.evaluate_handle(DROP, ["", data])
    await page.evaluate(
        "(clipboardData) => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData }))", transfer
    )
    await page.locator("[data-slot=image] .face").wait_for()
    assert "pasted.jpeg" in await page.locator("[data-slot=image] [data-caption]").inner_text()
    await page.locator("[data-slot=face_image] [data-camera]").click()
    await page.get_by_role("button", name="Take it").click()
    # The browser's own test pattern, in which nobody is.
    assert "No face was found" in await problem(person, "[data-slot=face_image]")
    await page.locator("[data-slot=face_image]").get_by_role("button", name="Change").click()
    await page.locator("[data-slot=face_image] [data-sample=man]").click()
    await page.locator("[data-slot=face_image] .face").wait_for()
    code = json.loads(await page.locator("[data-code=json]").text_content() or "")
    assert code["face_image"] == f"{person.address}/samples/man.jpg"
    assert code["image"].startswith("data:image/jpeg;base64,")


async def test_the_result_can_be_compared_enlarged_and_found_again(person: Person) -> None:
    page = person.page
    await person.sign_up()
    await person.go("/try")
    await page.locator("[data-slot=image] [data-sample=park]").click()
    await page.locator("[data-slot=face_image] [data-sample=woman]").click()
    stages: list[str] = []
    await page.expose_function("seen", lambda stage: stages.append(stage))
    await page.evaluate(
        """() => new MutationObserver(() => {
          const now = document.querySelector("[data-stages] [aria-current]");
          if (now) window.seen(now.textContent);
        }).observe(document.querySelector("[data-stages]"), { childList: true })"""
    )
    await swap(person)
    assert stages[0] == "Waiting for its turn"
    assert "Swapping the face" in stages
    slider = page.locator("[data-outcome] input[type=range]")
    await slider.focus()
    await page.keyboard.press("End")
    assert await slider.input_value() == "100"
    edge = "(frame) => frame.style.getPropertyValue('--edge')"
    assert await page.locator("[data-outcome] .compare").evaluate(edge) == "100%"
    await page.get_by_role("button", name="Full size").click()
    width = await page.locator(".zoom-frame img").evaluate("(image) => image.naturalWidth")
    assert width == await page.locator(".zoom-frame img").evaluate("(image) => image.width") == 805
    await page.keyboard.press("Escape")
    await person.go("/try")
    entry = page.locator("[data-entries] li")
    assert "woman.jpg in park.jpg" in await entry.inner_text()
    async with page.context.expect_page() as opened:
        await entry.get_by_role("link", name="Open").click()
    assert "/files/" in (await opened.value).url
    await page.get_by_role("button", name="Forget all").click()
    assert await page.locator("[data-history]").is_hidden()


class TestWhatGoesWrong:
    async def test_is_said_where_it_belongs(self, person: Person) -> None:
        page = person.page
        person.expected = ["status of 401", "status of 400"]
        await person.go("/try")
        send = page.get_by_role("button", name="Swap the face")
        await send.click()
        assert "Enter a key" in await problem(person, "[data-key-row]")
        await page.get_by_label("API key").fill("aio_wrong")
        await send.click()
        assert "Choose the scene first" in await problem(person, "[data-slot=image]")
        await page.locator("[data-slot=image] [data-sample=park]").click()
        await page.locator("[data-slot=face_image] [data-sample=woman]").click()
        await send.click()
        assert "API key is not valid" in await problem(person, "[data-key-row]")

    async def test_of_pictures_and_options(self, person: Person) -> None:
        page = person.page
        await person.sign_up()
        person.expected = ["status of 400"]
        await person.go("/try")
        send = page.get_by_role("button", name="Swap the face")
        await drop(person, "face_image", "noise.jpg", jpeg(Image.effect_noise((400, 400), 50)))
        assert "No face was found" in await problem(person, "[data-slot=face_image]")
        await page.locator("#image-address").fill("http://127.0.0.1:9/none.jpg")
        await page.locator("[data-slot=image]").get_by_role("button", name="Use it").click()
        assert await problem(person, "[data-slot=image]")
        await page.locator("[data-slot=image]").get_by_role("button", name="Change").click()
        await page.locator("[data-slot=image] [data-sample=park]").click()
        await page.get_by_label("Longest side").fill("3")
        await send.click()
        assert await problem(person, "[data-options]")
        await page.get_by_label("Longest side").fill("")
        await send.click()
        # The task fails, and says so beside the picture that is at fault.
        message = page.locator("[data-slot=face_image] [data-problem]", has_text="source picture")
        await message.or_(page.locator("[data-slot=face_image] [data-problem]:visible")).first.wait_for()
        await page.get_by_text("What was answered").click()
        assert '"no_face_found"' in await page.locator(".raw pre").nth(1).inner_text()

    async def test_a_file_that_is_no_picture_is_not_sent(self, person: Person) -> None:
        await person.go("/try")
        await person.page.locator("#image-file").set_input_files(
            {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"}
        )
        assert "This is no picture" in await problem(person, "[data-slot=image]")

    async def test_too_few_credits_are_said_at_the_button(self, person: Person) -> None:
        page = person.page
        await person.sign_up()
        person.expected = ["status of 402"]
        refusal = {"code": 402, "message": "Too few.", "type": "insufficient_credits", "param": None}
        await page.route(
            "**/face-swap",
            lambda route: route.fulfill(status=402, json={"error": {**refusal, "request_id": "r"}}),
        )
        await person.go("/try")
        await page.locator("[data-slot=image] [data-sample=park]").click()
        await page.locator("[data-slot=face_image] [data-sample=woman]").click()
        await page.get_by_role("button", name="Swap the face").click()
        assert "Too few. Get credits" in await problem(person, ".send")
