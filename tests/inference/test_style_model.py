"""Control of styles: truncation, mixing, ways, directions, projection; and the commands for them."""

import numpy as np
import pytest
import torch
from learned import SIZE, save_sampler
from PIL import Image

import translate
from translate.checkpoint import save_weights
from translate.cli.main import main
from translate.config import ClassifierNetworkConfig, Preprocessing, WeightsConfig
from translate.inference import InferenceError, StyleModel, load_style_model
from translate.inference.style_model import lerp_path, read_styles, save_styles
from translate.networks import build_network


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_sampler(tmp_path_factory.mktemp("style") / "w", "style")


@pytest.fixture
def model(weights) -> StyleModel:
    found = translate.load(weights, device="cpu")
    assert isinstance(found, StyleModel)
    torch.manual_seed(1)
    for name, parameter in found.network.named_parameters():
        if name.endswith("strength"):
            torch.nn.init.constant_(parameter, 0.3)
    found.network.mapping.average.normal_(std=0.1)
    return found


def test_psi_leads_to_the_mean_image(model):
    (mean,) = model.styled(truncation=0.0).sampled(1, seed=1)[0]
    assert torch.equal(mean, model.styled(truncation=0.0).sampled(1, seed=2)[0][0])
    near, far = (model.styled(truncation=truncation).sampled(1, seed=1)[0][0] for truncation in (0.3, 1.0))
    assert (near - mean).abs().mean() < (far - mean).abs().mean()
    assert torch.equal(model.styled(truncation=[1.0] * 6).sampled(2)[0], model.sampled(2)[0])
    # A layer by itself, and the model itself as it was.
    assert not torch.equal(model.styled(truncation=[1, 1, 1, 1, 1, 0]).sampled(2)[0], model.sampled(2)[0])
    assert torch.equal(model.truncation, torch.ones(6))


def test_noise_on_and_off(model):
    fixed, none = model.sampled(2)[0], model.styled(noise="none").sampled(2)[0]
    assert torch.equal(fixed, model.sampled(2)[0])
    assert not torch.equal(fixed, none)
    random = model.styled(noise="random", seed=3)
    first = random.sampled(2)[0]
    assert not torch.equal(first, random.sampled(2)[0])
    assert torch.equal(first, model.styled(noise="random", seed=3).sampled(2)[0])


def test_mixtures_have_some_layers_of_each(model):
    rows, columns = model.seeded([1, 2]), model.seeded([3, 4, 5])
    mixed = model.mixed(rows, columns, layers=(2, 4)).view(2, 3, 6, 6)
    for row in range(2):
        for column in range(3):
            assert torch.equal(mixed[row, column, 2:4], columns[column, 2:4])
            assert torch.equal(mixed[row, column, :2], rows[row, :2])
            assert torch.equal(mixed[row, column, 4:], rows[row, 4:])
    assert torch.equal(model.mixed(rows, columns, layers=(0, None)).view(2, 3, 6, 6)[1], columns)


def test_ways_in_w_are_straight(model):
    in_w = model.styled(space="w")
    images = in_w.walk(2, steps=3, seed=5)
    ends = model.styles(model.latents(4, seed=5))
    halfway = model.to_images(model.synthesised((ends[:1] + ends[1:2]) / 2))[0]
    assert np.abs(np.asarray(images[1], int) - np.asarray(halfway, int)).max() <= 1
    assert [image.tobytes() for image in (images[0], images[2], images[3], images[5])] == [
        image.tobytes() for image in model.to_images(model.synthesised(ends))
    ]
    loop = lerp_path(ends, steps=2, closed=True)
    assert len(loop) == 8
    torch.testing.assert_close(loop[-1], (ends[3] + ends[0]) / 2)
    assert len(in_w.walk(3, steps=4, closed=True)) == 12


def test_factorised_directions_are_singular_vectors(model):
    found = model.factorised(4)
    torch.testing.assert_close(found @ found.t(), torch.eye(4), atol=1e-5, rtol=0)
    weights = [module.conv.affine.weight for stage in model.network.stages for module in stage.convs]
    weights.append(model.network.stages[-1].to_image.conv.affine.weight)
    matrix = torch.cat([weight / weight.norm(dim=1, keepdim=True) for weight in weights])
    gram = (matrix.t() @ matrix).detach()
    _, vectors = torch.linalg.eigh(gram)
    for number, vector in enumerate(found):
        assert abs(float(vector @ vectors[:, -1 - number])) == pytest.approx(1.0, abs=1e-4)
    assert not torch.equal(model.factorised(2, layers=(0, 2)), found[:2])


def test_principal_components_have_the_deviation_of_styles(model):
    found = model.components(3)
    styles = model.styles(model.latents(10_000))[:, 0]
    for component in found:
        along = (styles - styles.mean(dim=0)) @ (component / component.norm())
        assert along.std().item() == pytest.approx(component.norm().item(), rel=1e-3)


def test_styles_are_truncated_layer_by_layer_afterwards(model):
    truncation = [0.5] * 3 + [0.0] * (model.num_layers - 3)
    styles = model.seeded([7, 8])
    torch.testing.assert_close(model.truncated(styles, truncation), model.styled(truncation=truncation).seeded([7, 8]))
    torch.testing.assert_close(model.truncated(styles, [1.0]), styles)
    with pytest.raises(InferenceError, match="out of range"):
        model.truncated(styles, [9.0])
    with pytest.raises(InferenceError, match="2 truncation values were given, and 'style' has 6 layers"):
        model.truncated(styles, [1.0, 1.0])


def test_a_direction_is_learned_from_scores(model):
    styles = model.styles(model.latents(2000))[:, 0]
    wanted = torch.nn.functional.normalize(torch.randn(6, generator=torch.Generator().manual_seed(0)), dim=0)
    scores = styles @ wanted
    assert float(model.towards(styles, scores, ridge=1e-6) @ wanted) == pytest.approx(1.0, abs=1e-3)
    labels = (scores > scores.median()).float()
    direction = model.towards(styles, labels)
    moved = model.edited(model.seeded([7]), direction, strength=2.0, layers=(1, 3))
    assert torch.equal(moved[:, 3:], model.seeded([7])[:, 3:])
    assert float((moved - model.seeded([7]))[0, 1] @ wanted) > 0
    for few in (styles[:5], styles[:20] * 0):
        with pytest.raises(InferenceError, match="no direction"):
            model.towards(few, few[:, 0] * 0)


def test_projection_finds_what_the_network_made(model):
    (image,) = model.to_images(model.synthesised(model.seeded([3])))
    heard = []
    found = model.project(image, steps=150, on_step=lambda step, distance: heard.append((step, distance)))
    assert heard[0] == (0, found.began)
    assert heard[-1][0] == 150
    assert found.distance < 0.35 * found.began
    assert found.styles.shape == (1, 6, 6)
    assert found.image.size == (SIZE, SIZE)
    again = model.project(image, steps=150)
    assert torch.equal(again.styles, found.styles)


def test_features_are_compared_too(model):
    (image,) = model.to_images(model.synthesised(model.seeded([3])))
    seen = []

    def features(images):
        seen.append(images.requires_grad)
        return [images.mean(dim=(2, 3))]

    model.project(image, steps=3, features=features)
    assert seen == [False, True, True, True, True]


@pytest.mark.parametrize(
    ("truncation", "match"),
    [
        (2.5, "truncation 2.5 is out of range: it is -2 to 2"),
        ([1.0, 0.5], "2 truncation values were given, and .* has 6 layers"),
    ],
)
def test_wrong_truncation(model, truncation, match):
    with pytest.raises(InferenceError, match=match):
        model.styled(truncation=truncation)


def test_what_means_nothing_is_refused(model, weights, tmp_path):
    with pytest.raises(InferenceError, match="only the direction of its latents matters: use --truncation"):
        model.sample(1, temperature=0.7)
    with pytest.raises(InferenceError, match="styles of one network cannot be used with another"):
        model.mixed(torch.randn(1, 6, 6), torch.randn(1, 8, 6), layers=(0, 2))
    with pytest.raises(InferenceError, match="in 6 layers, numbered from 0: there are none from 7 on"):
        model.mixed(model.seeded([0]), model.seeded([1]), layers=(7, None))
    with pytest.raises(InferenceError, match="has no styles"):
        load_style_model(save_sampler(tmp_path / "gan", "gan"), device="cpu")
    save_styles(model.seeded([1]), tmp_path / "s.safetensors", model)
    assert torch.equal(read_styles(tmp_path / "s.safetensors", model), model.seeded([1]))
    other = load_style_model(weights, device="cpu")
    torch.nn.init.normal_(other.network.constant)
    with pytest.raises(InferenceError, match="styles of other weights"):
        read_styles(tmp_path / "s.safetensors", other)
    (tmp_path / "torn.safetensors").write_bytes(b"no")
    with pytest.raises(InferenceError, match="holds no styles"):
        read_styles(tmp_path / "torn.safetensors", model)


def test_commands(weights, tmp_path, capsys):
    def run(*arguments: str) -> str:
        assert main([*arguments, "--device", "cpu"]) == 0
        return capsys.readouterr().out

    for name, options in {
        "truncation": ["--truncation", "0.5"],
        "layers": ["--truncation", "1", "1", "1", "0.5", "0.5", "0.5", "--noise-mode", "none"],
        "ways": ["--count", "2", "--interpolate", "3", "--space", "w"],
    }.items():
        run("sample", str(weights), "-o", str(tmp_path / f"{name}.png"), *options)
        assert (tmp_path / f"{name}.png").is_file()
    run("sample", str(weights), "-o", str(tmp_path / "middle.png"), "--count", "2", "--mix", "middle")
    run("sample", str(weights), "-o", str(tmp_path / "mix.png"), "--count", "3", "--mix", "coarse")
    side = Image.open(tmp_path / "mix.png").width
    assert Image.open(tmp_path / "mix.png").height == side
    Image.new("RGB", (30, 20), (200, 40, 90)).save(tmp_path / "given.png")
    said = run("project", str(weights), str(tmp_path / "given.png"), "-o", str(tmp_path / "out"), "--steps", "5")
    assert "of the mean image" in said
    said = run(
        "directions", str(weights), "-o", str(tmp_path / "dirs.png"),
        "--styles", str(tmp_path / "out" / "styles.safetensors"), "--layers", "middle", "--count", "2",
    )  # fmt: skip
    assert "2 directions by sefa, -3 to 3" in said
    assert "1 directions by pca" in run(
        "directions", str(weights), "-o", str(tmp_path / "pca.png"), "--kind", "pca", "--only", "2"
    )


def test_commands_say_what_is_wrong(weights, tmp_path, capsys):
    gan = save_sampler(tmp_path / "gan", "gan")
    for arguments, match in (
        (["sample", str(gan), "-o", "x.png", "--truncation", "0.5"], "'gan' is not a StyleGAN: omit --truncation"),
        (["sample", str(weights), "-o", "x.png", "--mix", "fine", "--interpolate", "3"], "choose one"),
        (["sample", str(weights), "-o", str(tmp_path / "folder"), "--mix", "fine"], "name a .png"),
        (["sample", str(weights), "-o", "x.png", "--truncation", "7"], "truncation 7 is out of range"),
        (["directions", str(weights), "-o", "x.jpg"], "the image grid must be a .png"),
        (
            ["directions", str(weights), "-o", "x.png", "--layers", "fine"],
            "in 6 layers, numbered from 0: there are none from 7 on",
        ),
        (["directions", str(weights), "-o", "x.png", "--truncation", "9"], "truncation 9 is out of range"),
        (["sample", str(weights), "-o", "x.png", "--space", "w"], "add --interpolate"),
        (["sample", str(weights), "-o", "x.png", "--mix", "coarse", "--columns", "2"], "--mix sets its own columns"),
        (["directions", str(weights), "-o", "x.png", "--only", "9"], "has only 6 directions"),
        (["project", str(gan), "x.png", "-o", "out"], "has no styles"),
        (["project", str(weights), str(tmp_path / "none.png"), "-o", "out"], "none.png"),
    ):
        assert main([*arguments, "--device", "cpu"]) == 2
        assert match in " ".join(capsys.readouterr().err.split()), arguments


def test_info(weights, capsys):
    assert main(["info", str(weights)]) == 0
    said = capsys.readouterr().out
    assert "style-generator" in said
    assert "FLOP" in said


def test_directions_are_those_of_what_has_grown(model):
    model.network.grown = 8
    found = model.factorised(2)
    torch.nn.init.normal_(model.network.stages[2].convs[0].conv.affine.weight)
    assert torch.equal(found, model.factorised(2))
    assert len(model.factorised(6, layers=(3, None))) == 6  # the last layer is that of the image alone


def save_classifier(folder, *, channels):
    torch.manual_seed(0)
    config = ClassifierNetworkConfig(in_channels=channels, num_classes=3, width=4, num_features=4)
    said = WeightsConfig(
        kind="classifier", name="c", network=config, preprocessing=Preprocessing(size=SIZE), classes=("a", "b", "c")
    )
    save_weights(build_network(config), said, folder)


def test_a_direction_towards_a_class(weights, tmp_path, capsys):
    save_classifier(tmp_path / "classifier", channels=3)
    command = ["directions", str(weights), "-o", str(tmp_path / "b.png"), "--device", "cpu"]
    given = ["--classifier", str(tmp_path / "classifier")]
    assert main([*command, *given, "--towards", "b"]) == 0
    assert "1 directions by --towards b, -2 to 2" in capsys.readouterr().out
    for options, said in (([*given, "--towards", "d"], "has no class 'd': choose from a, b, c"), (given, "both")):
        assert main([*command, *options]) == 2
        assert said in " ".join(capsys.readouterr().err.split())


def test_features_of_other_images_are_refused(weights, tmp_path, capsys):
    save_classifier(tmp_path / "classifier", channels=1)
    Image.new("RGB", (16, 16)).save(tmp_path / "given.png")
    command = ["project", str(weights), str(tmp_path / "given.png"), "-o", str(tmp_path / "out"), "--device", "cpu"]
    assert main([*command, "--features", str(tmp_path / "classifier")]) == 2
    assert "was trained on images of 16 px and 1 channels, and 'style' generates 16 px and 3" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
